"""Where the campaign stands: the account of I1, what needs a decision, what to do next.

Decides nothing itself: it reads the account (storage/accounting.py) and says which command follows from it.
"""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from notifier.campaign import Settings
from notifier.delivery.flow import Flow, lane_json, lane_line, look
from notifier.delivery.forecast import Forecast
from notifier.delivery.limits import Allowance, Limits
from notifier.delivery.outlook import look_ahead
from notifier.errors import OperatorError, SettingsError
from notifier.intake.holds import SENDERS, HeldFile
from notifier.intake.rejected_rows import FILES_SHOWN, RejectedRows
from notifier.model import Term, from_ms, to_ms, utc_text
from notifier.notices.agreement import verify_bound
from notifier.storage import clear_files, counters, rejections, tempo
from notifier.storage.accounting import Account, WaveAccount, account, listing
from notifier.storage.campaigns import Paused, paused
from notifier.storage.clear_files import ClearFile
from notifier.storage.database import Connection, Database
from notifier.storage.waves import awaiting_plan, files_since_last_plan
from notifier.vault import Vault

# What each term says, for an operations team (DESIGN 5, I1).
MEANINGS: Mapping[Term, str] = {
    Term.CONFIRMED: "the recipient's own server said so",
    Term.PRESUMED: "accepted, and observed to the end without failure",
    Term.HANDED_OVER: "accepted by the relay, returns still awaited",
    Term.PENDING: "queued, sending, deferred, or under review",
    Term.IN_DOUBT: "perhaps accepted: no answer was recorded",
    Term.POST: "a letter is to be printed, printed, or posted",
    Term.UNMATCHED: "no contact is known",
    Term.UNREACHABLE: "a contact, but no working mailbox or address",
    Term.EXCLUDED: "taken out, with reason and author",
}


@dataclass(frozen=True)
class Standing:
    """A campaign at one moment."""

    name: str
    account: Account
    paused: Paused | None
    held: Sequence[HeldFile] = ()
    rejected: RejectedRows = field(default_factory=RejectedRows)
    clear_files: Sequence[ClearFile] = ()
    files_since_plan: int = 0
    awaiting_plan: Sequence[str] = ()  # rounds on whose persons something was decided since
    flow: Flow = field(default_factory=Flow)  # who sends, and what waits in which lane
    allowed: Allowance = field(default_factory=Allowance)  # by the sending hours, the helpline's caps and the warm-up
    forecast: Forecast | None = None
    ahead: Sequence[str] = ()  # the forecast in lines
    differing: Sequence[str] = ()  # bound values that stop `send`: what is approved and waits was approved under others
    plan_file: Path | None = None  # beside the database, of a plan that runs, or was killed

    @property
    def balances(self) -> bool:
        return self.account.balances

    def as_json(self) -> dict[str, Any]:
        """`status --json` (DESIGN 11), then what it does not name."""
        return {
            **self.account.as_json(self.name),
            "paused": self.paused.reason if self.paused else None,
            "open_reviews": self.account.open_reviews,
            "held": [each.as_json() for each in self.held],
            "rejected": self.rejected.as_json(),
            "clear_files": [each.path for each in self.clear_files],
            "plan_file": str(self.plan_file) if self.plan_file else None,
            "awaiting_plan": list(self.awaiting_plan),
            "differing": list(self.differing),
            "waits": {"until": utc_text(self.allowed.goes_on), "why": self.allowed.why}
            if self.allowed.goes_on
            else None,
            "lanes": [lane_json(lane) for lane in self.flow.lanes if lane.rests],
            "sending": self.flow.as_json(),
            "forecast": self.forecast.as_json() if self.forecast else None,
            "decisions": self.decisions(),
            "next": self.next_step(),
        }

    def decisions(self) -> list[str]:
        """What only somebody can decide, each with the command for it."""
        found = []
        account = self.account
        if self.paused:
            found.append(f"paused since {self.paused.since:%Y-%m-%d %H:%M} UTC: {self.paused.reason} (`resume`)")
        found += [
            f"the lane {lane.provider} is {lane.why} (`resume --provider {lane.provider}`)"
            for lane in self.flow.lanes
            if lane.paused
        ]
        for file in self.held:
            ends = "senders list" if file.reason == SENDERS else "intake --accept-rejections"
            found.append(f"the file {file.sha256[:12]} is held: {file.headline()}; nobody in it is informed (`{ends}`)")
        if self.differing:
            found.append(
                "what is approved and waits is not sent, for it was approved under other values: "
                f"{'; '.join(self.differing)} (`check` names the ways out)"
            )
        if account.open_reviews:
            found.append(f"{account.open_reviews} persons under review (`people review`)")
        if account.rows.open_rejections:
            found.append(f"{account.rows.open_rejections} rejected rows are open (`intake rejections`)")
        for wave in account.waves:
            held = wave.deliveries.get("in_doubt", 0) - wave.resend
            if held:
                found.append(f"{held} deliveries of wave {wave.name} are held in doubt (`doubt list`)")
            if unmade := wave.deliveries.get("unmade", 0):
                found.append(
                    f"{unmade} messages of wave {wave.name} could not be made: logs/mail.log says why; mended, "
                    "`requeue --state unmade` sends them"
                )
            if letters := wave.deliveries.get("to_print", 0):
                found.append(f"{letters} letters of wave {wave.name} are to be printed and posted")
        return found

    def next_step(self) -> str:  # noqa: PLR0911  (a table, read downwards)
        """The command that follows."""
        account = self.account
        if not account.rows.read and self.held:
            return "senders list" if any(each.reason == SENDERS for each in self.held) else "intake --accept-rejections"
        if not account.rows.read:
            return "intake FILE --profile NAME"
        if not account.waves:
            return "directory FILE --profile directory, then plan"
        if overdue := self._overdue():
            return overdue
        if self.paused:
            return "resume, once the reason is mended"
        if any(_mail_waits(wave) for wave in account.waves):
            return "check (what is approved differs now)" if self.differing else "send --wait"
        if self.files_since_plan and any(sum(wave.not_frozen.values()) for wave in account.waves):
            return self._plan_for_files()  # an approval would be refused
        for wave in account.waves:
            if sum(wave.not_frozen.values()):
                return f"check{_of(wave)}, preview{_of(wave)}, then approve{_of(wave)}"
        if account.open_reviews:
            return "people review, then plan"
        if self.files_since_plan:
            return self._plan_for_files()
        return "proof export --out FILE"

    def _overdue(self) -> str:
        """The plan that has to come first; "" = none."""
        for wave in self.account.waves:
            if wave.owed != sum(wave.terms.values()):
                return f"plan{_of(wave)} (persons came in since it was made)"
            if wave.name in self.awaiting_plan:
                return f"plan{_of(wave)} (something was decided on its persons since it was made)"
        return ""

    def _plan_for_files(self) -> str:
        return f"plan ({self.files_since_plan} files came in since the last one)"

    def lines(self) -> list[str]:
        """For a terminal."""
        account = self.account
        rows = account.rows
        lines = [
            f"Campaign: {self.name}",
            f"Rows {rows.read} = records {rows.records} + rejected {rows.rejections} ({rows.open_rejections} open); "
            f"persons {account.persons}",
        ]
        if rows.rejections:
            lines += self.rejected.lines(most=FILES_SHOWN)
        for file in self.clear_files:
            at = from_ms(file.written_ms)
            who = f"by {file.written_by}, {at:%Y-%m-%d %H:%M} UTC"
            lines.append(f"In clear: {file.path} ({file.kind} with values, {who}): remove it when it has served")
        if self.plan_file:
            lines.append(
                f"A plan is at work, or was killed: {self.plan_file} (numbers and tokens) goes with its end, or with "
                "the next command that writes"
            )
        for wave in account.waves:
            lines += ["", f"Wave {wave.name} ({wave.kind})"]
            lines += [f"  {term.value:12} {wave.terms[term]:>9}  {MEANINGS[term]}" for term in Term]
            equal = "=" if wave.balances else "≠"
            lines.append(f"  {'owed':12} {wave.owed:>9}  {equal} the sum of the above, {sum(wave.terms.values())}")
            states = " · ".join(f"{state} {count}" for state, count in sorted(wave.deliveries.items()))
            lines.append(f"  deliveries: {states or 'none'}")
        if self.allowed.goes_on:
            lines.append(f"Waits: {self.allowed.why}; goes on at {utc_text(self.allowed.goes_on)}")
        lines += [lane_line(lane) for lane in self.flow.lanes if lane.rests]
        lines += self.flow.lines()
        lines += self.ahead
        lines += ["", "It balances." if self.balances else "IT DOES NOT BALANCE."]
        lines += [f"To decide: {decision}" for decision in self.decisions()]
        lines.append(f"Next: notifier {self.next_step()}")
        return lines


def _of(wave: WaveAccount) -> str:
    return "" if wave.name == "initial" else f" --wave {wave.name}"


def _mail_waits(wave: WaveAccount) -> bool:
    if wave.resend:
        return True
    return bool(
        wave.frozen[Term.PENDING] and any(wave.deliveries.get(state) for state in ("queued", "deferred", "sending"))
    )


async def take(
    database: Database, settings: Settings, folder: Path, *, held: Sequence[HeldFile] = (), now: datetime
) -> Standing:
    """Read the account, in one snapshot. ``held``: the files that are held. Of the clear files, those that lie in the
    campaign's ``folder`` still."""
    limits = Limits.of(settings)
    async with database.read() as connection:
        begun = await counters.told(connection, limits.counters(now, canary=False))
        first_ms = await tempo.told_first(connection) if limits.warm_up else None
        forecast, ahead = await _ahead(connection, settings, folder, limits, now)
        counted = await account(connection, now_ms=to_ms(now))
        rejected = RejectedRows(await rejections.by_file(connection))
        clear = [each for each in await clear_files.there(connection) if (folder / each.path).exists()]
        return Standing(
            settings.campaign.name, counted, await paused(connection), held, rejected, clear,
            await files_since_last_plan(connection), await awaiting_plan(connection),
            await look(connection, folder, now),
            limits.allowance(now, begun, canary=False, first=None if first_ms is None else from_ms(first_ms)),
            forecast, ahead, await verify_bound(connection, settings), database.plan_file(),
        )  # fmt: skip


async def _ahead(
    connection: Connection, settings: Settings, folder: Path, limits: Limits, now: datetime
) -> tuple[Forecast | None, list[str]]:
    """The forecast and its lines. A file of providers that cannot be read stops `send`, and not who looks."""
    try:
        forecast = await look_ahead(connection, settings, folder, now)
    except SettingsError as error:
        return None, [f"Projected end: unknown ({error})"]
    return forecast, forecast.lines(settings.campaign.notify_by if settings.drill is None else None, limits)


async def write_list(database: Database, vault: Vault, term: Term, out: Path, *, now: datetime) -> int:
    """Who counts under ``term``, as CSV: wave, sender, pseudonym, reason. Pseudonyms only (I8): the list may travel.
    Returns the number of lines. Written beside and moved into place, so that no half list is ever read."""
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    count = 0
    try:
        with beside.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=";")
            writer.writerow(["vague", "emetteur", "personne", "motif"])
            async with database.read() as connection:
                async for wave, sender, identity, reason in listing(connection, term, to_ms(now)):
                    writer.writerow([wave, sender, vault.pseudonym(sender, identity), reason])
                    count += 1
        beside.replace(out)
    except OSError as error:
        raise OperatorError(f"{out} cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
    return count
