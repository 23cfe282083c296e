"""The course of a drill: every step of a campaign, in the order and by the commands of an operations team.

Promises: nothing real is touched (invented persons, a key of its own kind, a folder of its own); a drill that was cut
off goes on where it was; one that has ended is told again and changes nothing. A step that fails ends the drill, and
the report says at which step.
"""

from __future__ import annotations

import json
import socket
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from notifier.campaign import Settings, load, shipped
from notifier.errors import OperatorError, TryLater
from notifier.exercise.commands import Commands, Start, StepFailed, own_environment, start_process
from notifier.exercise.logbook import DecisionTaken, Logbook, StepTaken
from notifier.exercise.settings import choose_sender, copy_texts, drill_settings
from notifier.exercise.sink import Sink
from notifier.foundation import found
from notifier.model import utc_text

# Asks a question: (name, question, choices, default) → the answer. None: nobody is there, defaults are taken.
Ask = Callable[[str, Sequence[str], str], str]
YES, NO = "oui", "non"
EXPORTS = ("viamedis-insured", "almerys-insured", "viamedis-professional", "almerys-professional")
AS_OF = "2024-01-31"


class Declined(StepFailed):
    """Somebody said no: the drill ends here, and its report says so."""


@dataclass(frozen=True)
class Order:
    """What a drill is to be. ``source``: a campaign whose texts and settings are rehearsed; ``recipients``: own
    addresses, empty = the built-in sink; ``real_size``: persons of the real campaign, 0 = not known."""

    folder: Path
    insured: int
    professionals: int
    seed: int
    recipients: tuple[str, ...] = ()
    source: Path | None = None
    sender: str = ""
    real_size: int = 0
    by: str = ""

    def options(self) -> dict[str, Any]:
        """For the logbook: by what another drill is told from this one."""
        return {
            "insured": self.insured,
            "professionals": self.professionals,
            "seed": self.seed,
            "recipients": list(self.recipients),
            "source": str(self.source.absolute()) if self.source else "",
            "sender": self.sender,
        }


class Course:
    """One drill. :meth:`run` goes through all steps that are not done yet."""

    def __init__(
        self, order: Order, book: Logbook, *, ask: Ask | None, say: Callable[[str], None], start: Start = start_process
    ) -> None:
        self.order, self.book = order, book
        self._ask, self._say = ask, say
        self.campaign = order.folder / "campaign"
        self.files = order.folder / "files"
        self.pack = order.folder / "preuve-exercice.zip"
        environment = own_environment(with_relay=bool(order.recipients))
        self._commands = Commands(self.campaign, order.by, environment, start)

    def source_settings(self) -> Settings:
        """The settings that are rehearsed: a campaign's (its campaign.toml alone is read), or the sample's."""
        if self.order.source is not None:
            return load(self.order.source, environment={})
        return load(shipped("data") / "campaign", environment={}, file="sample.toml")

    def run(self) -> bool:
        """Whether every step went well."""
        steps: list[tuple[str, str, Callable[[], dict[str, Any]]]] = [
            ("files", "Recevoir les fichiers (personnes inventées)", self._make_files),
            ("init", "Ouvrir la campagne", self._init),
            *((f"intake {name}", f"Prendre en charge l'export {name}", self._intake(name)) for name in self._exports()),
            ("directory", "Prendre en charge le fichier des adhérents", self._directory),
            ("plan", "Planifier : qui est informé, par quelle voie", self._plan),
            ("review", "Relever les cas à examiner", self._review),
            ("preview", "Produire les aperçus", self._preview),
            ("check", "Contrôler textes, réglages et relais", self._check),
            ("kit", "Produire la trousse de communication", self._kit),
            ("approve", "Approuver", self._approve),
            ("send", "Envoyer", self._send),
            ("status", "Établir les comptes", self._status),
            ("export", "Exporter la preuve", self._export),
            ("verify", "Vérifier la preuve", self._verify),
        ]
        for name, title, work in steps:
            if self.book.step(name) is None and not self._take(name, title, work):
                return False
        self.book.finished = True
        self.book.write()
        return True

    def _take(self, name: str, title: str, work: Callable[[], dict[str, Any]]) -> bool:
        """One step, timed, in the logbook."""
        self._say(title)
        began, at = time.monotonic(), utc_text(datetime.now(UTC))
        facts, error = {}, ""
        try:
            facts = work()
        except TryLater:
            raise  # nothing is wrong with the drill: run it again
        except StepFailed as failure:
            facts, error = failure.facts, str(failure)
        except OperatorError as failure:
            error = str(failure)
        self.book.add_step(StepTaken(name, title, at, round(time.monotonic() - began, 3), facts, error))
        if error:
            self._say(f"  {error}")
        return not error

    def decide(self, name: str, question: str, choices: Sequence[str], default: str) -> str:
        """A decision: what was decided before, else somebody's answer, else the default."""
        decided = self.book.decision(name)
        if decided is not None:
            return decided
        began = time.monotonic()
        answer = self._ask(question, choices, default) if self._ask else default
        seconds = round(time.monotonic() - began, 3)
        self.book.add_decision(DecisionTaken(name, question, answer, self._ask is not None, seconds))
        return answer

    # -- the steps ---------------------------------------------------------------------------------------------

    def _exports(self) -> list[str]:
        return [name for name in EXPORTS if self.order.professionals or "professional" not in name]

    def _file(self, name: str) -> Path:
        return self.files / f"{name}.{'xlsx' if 'professional' in name else 'csv'}"

    def _make_files(self) -> dict[str, Any]:
        from notifier.drill.exports import make_exports

        made = make_exports(
            self.files,
            insured=self.order.insured,
            professionals=self.order.professionals,
            seed=self.order.seed,
            unusable_rows=min(4, self.order.insured // 50),
        )
        return {"persons": made.persons, "rows": sum(made.rows.values())}

    def _init(self) -> dict[str, Any]:
        source = self.source_settings()
        sample = load(shipped("data") / "campaign", environment={}, file="sample.toml")
        filled = source if source.incidents else sample
        households = self.decide(
            "adult_dependants",
            "Ayants droit adultes sans adresse e-mail : courrier (letter), ou boîte du contrat (contract_mailbox) ?",
            ("letter", "contract_mailbox"),
            source.households.adult_dependants or "letter",
        )
        doubt = self.decide(
            "doubt",
            "Remise incertaine (aucune réponse du relais) : renvoyer une fois (resend), ou retenir (hold) ?",
            ("resend", "hold"),
            source.doubt.policy,
        )
        text = drill_settings(
            self._with_relay(source),
            sample,
            sender=choose_sender(source if source.senders else sample, self.order.sender),
            policies={"adult_dependants": households, "doubt": doubt},
            recipients=self.order.recipients,
            sink_port=None if self.order.recipients else _free_port(),
        )
        made = found(self.campaign, sample=False, environment={}, drill=text)
        copy_texts(self.order.source, self.campaign, [incident.code for incident in filled.incidents])
        return {"campaign": made.campaign_id, "fingerprint": made.fingerprint}

    def _with_relay(self, source: Settings) -> Settings:
        """With own addresses to write to, NOTIFIER_RELAY__… may name the relay, as for any campaign."""
        if not self.order.recipients:
            return source
        if self.order.source is not None:
            source = load(self.order.source, environment=own_environment(with_relay=True))
        else:
            environment = own_environment(with_relay=True)
            source = load(shipped("data") / "campaign", environment=environment, file="sample.toml")
        if not source.relay.host:
            raise OperatorError("--to needs a relay: [relay] of the campaign, or NOTIFIER_RELAY__HOST")
        if self.order.source is None:
            return source
        return source.model_copy(update={"relay": source.relay.seen_from_elsewhere(self.order.source)})

    def _intake(self, name: str) -> Callable[[], dict[str, Any]]:
        def work() -> dict[str, Any]:
            path = self._file(name)
            rows = self._commands("intake", path, "--profile", name).body
            if rows["held"]:
                raise StepFailed(f"intake: le fichier est retenu ({rows['held'][0]['reason']}) et rien n'en est repris")
            facts = {key: rows[key] for key in ("rows", "records", "rejections", "persons_new", "persons_known")}
            facts["codes"] = rows["files"][0]["codes"].get("rejected", {})
            if facts["rejections"]:
                question = f"{name} : {facts['rejections']} lignes rejetées sur {facts['rows']}. Continuer sans elles ?"
                if self.decide(f"rejections {name}", question, (YES, NO), YES) == NO:
                    raise Declined("arrêté : des lignes rejetées restent à traiter")
            return facts

        return work

    def _directory(self) -> dict[str, Any]:
        path = self.files / "directory.csv"
        rows = self._commands("directory", path, "--profile", "directory", "--as-of", AS_OF).body
        return {key: rows[key] for key in ("rows", "records", "rejections")}

    def _plan(self) -> dict[str, Any]:
        plan = self._commands("plan").body
        return {
            "notifications": plan["notifications"],
            "by_route": plan["by_route"],
            "review": plan["review"],
            "segments": len(plan["segments"]),
        }

    def _review(self) -> dict[str, Any]:
        reviews = self._commands("people", "review").body
        if reviews["open"]:
            question = f"{reviews['open']} cas à examiner. Continuer, et les laisser en attente ?"
            if self.decide("reviews", question, (YES, NO), YES) == NO:
                raise Declined("arrêté : des cas restent à examiner")
        return {"open": reviews["open"], "by_reason": reviews["by_reason"]}

    def _preview(self) -> dict[str, Any]:
        made = self._commands("preview", "--out", self.order.folder / "apercus").body
        return {"files": len(made["files"])}

    def _check(self) -> dict[str, Any]:
        with self._sink():
            found_ = self._commands("check", expect=(0, 2, 75)).body
        errors = [each for each in found_["findings"] if each["severity"] == "error"]
        facts = {"errors": found_["errors"], "warnings": found_["warnings"], "findings": found_["findings"]}
        if errors:
            told = f"{errors[0]['where']}: {errors[0]['text']}"
            raise StepFailed(f"{len(errors)} erreurs bloquent l'approbation, dont {told}", facts)
        return facts

    def _kit(self) -> dict[str, Any]:
        made = self._commands("notices", "kit", "--out", self.order.folder / "trousse").body
        return {"files": len(made["files"]), "version": made["version"]}

    def _approve(self) -> dict[str, Any]:
        plan = self.book.step("plan")
        waiting = plan.facts["notifications"] if plan else 0
        question = f"Approuver {waiting} notifications ? Les aperçus sont dans {self.order.folder / 'apercus'}."
        if self.decide("approve", question, (YES, NO), YES) == NO:
            raise Declined("arrêté : les textes n'ont pas été approuvés")
        made = self._commands("approve").body
        if made["batch"] is None:  # approved before the drill was cut off
            return {"notifications": waiting}
        return {"notifications": made["notifications"], "batch": made["batch"], "digest": made["digest"]}

    def _send(self) -> dict[str, Any]:
        where = f"{len(self.order.recipients)} adresses internes" if self.order.recipients else "le puits de la machine"
        if self.decide("send", f"Envoyer maintenant, vers {where} ?", (YES, NO), YES) == NO:
            raise Declined("arrêté : l'envoi n'a pas été lancé")
        with self._sink() as sink:
            sent = self._commands("send", "--wait")
            taken = sink.taken if sink else None
        body = sent.body
        if body["reason"] != "done" or body["remaining"]:
            raise StepFailed(f"send: {body['paused_reason'] or body['reason']}")
        facts = {key: body[key] for key in ("accepted", "deferred", "refused", "expired", "in_doubt", "recovered")}
        return {**facts, "seconds": round(sent.seconds, 3), "taken_by_sink": taken}

    def _status(self) -> dict[str, Any]:
        standing = self._commands("status").body
        wave = standing["waves"]["initial"]
        return {
            "persons": standing["persons"],
            "notifications": wave["notifications"],
            "deliveries": wave["deliveries"],
            "balances": standing["balances"],
            "open_rejections": standing["rows"]["open_rejections"],
        }

    def _export(self) -> dict[str, Any]:
        made = self._commands("proof", "export", "--out", self.pack).body
        return {"entries": made["entries"], "balances": made["balances"], **_accepted(self.pack)}

    def _verify(self) -> dict[str, Any]:
        init = self.book.step("init")
        fingerprint = init.facts["fingerprint"] if init else ""
        verdict = self._commands("proof", "verify", self.pack, "--fingerprint", fingerprint, expect=(3,)).body
        if verdict["ok"] or not verdict["intact"] or verdict["kind"] != "drill":
            raise StepFailed("proof verify: the pack of a drill passes for another")
        return {"intact": True, "kind": verdict["kind"]}

    def _sink(self) -> AbstractContextManager[Sink | None]:
        if self.order.recipients:
            return nullcontext()
        port = load(self.campaign, environment={}).relay.port
        return Sink(port, self.order.folder / "messages")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _accepted(pack: Path) -> dict[str, Any]:
    """From the journal itself: how many messages were accepted, and between which instants."""
    times: list[str] = []
    kinds: Counter[str] = Counter()
    with zipfile.ZipFile(pack) as archive, archive.open("entries.jsonl") as lines:
        for line in lines:
            entry = json.loads(line)["entry"]
            if entry["kind"].startswith("delivery_"):
                kinds[entry["kind"]] += 1
            if entry["kind"] == "delivery_accepted":
                times.append(entry["at"])
    return {"outcomes": dict(kinds), "first_accepted": min(times, default=""), "last_accepted": max(times, default="")}
