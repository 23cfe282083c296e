"""The demonstration's story: the commands an operations team would type, run as they would run them.

Every step is the real command in a process of its own; the relay runs in this one, so that it survives when the sender
is killed. At the end the relay's ledger and the campaign's own account are laid side by side, and what does not agree
fails the demonstration.
"""

from __future__ import annotations

import email
import email.policy
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import click

from notifier.campaign import shipped
from notifier.demo.relay import DemoRelay, Ledger
from notifier.errors import NotifierError, OperatorError

EXPORTS = (
    ("viamedis-insured", "viamedis-insured.csv"),
    ("almerys-insured", "almerys-insured.csv"),
    ("viamedis-professional", "viamedis-professional.xlsx"),
    ("almerys-professional", "almerys-professional.xlsx"),
)
KILL_AT = 90
DROP_AT = 140
STEP_SECONDS = 120
SHOWN = 24  # lines of one command
WIDTH = 132


@dataclass
class Story:
    """One telling: where, against which relay, how loudly."""

    campaign: Path
    relay: DemoRelay
    quiet: bool
    environment: dict[str, str] = field(default_factory=dict)

    def say(self, text: str = "") -> None:
        if not self.quiet:
            click.echo(text)

    def head(self, title: str) -> None:
        self.say()
        self.say(click.style(f"── {title} ", bold=True) + "─" * max(0, 96 - len(title)))

    def show(self, *arguments: str) -> None:
        shown = " ".join(argument.replace(str(self.campaign), "DIR") for argument in arguments)
        self.say(click.style(f"$ notifier -C DIR {shown}", fg="cyan"))

    def run(self, *arguments: str, expect: tuple[int, ...] = (0,), show: bool = True) -> dict[str, Any]:
        """Run a command with its output shown, and again nothing: returns its --json answer when asked for."""
        if show:
            self.show(*arguments)
        done = self._process(*arguments)
        if show:
            self.tell(done.stderr + done.stdout)
        if done.returncode not in expect:
            raise NotifierError(f"`notifier {' '.join(arguments)}` ended with {done.returncode}: {done.stderr[-2000:]}")
        if "--json" in arguments:
            answer: dict[str, Any] = json.loads(done.stdout)
            return answer
        return {}

    def tell(self, output: str) -> None:
        """A command's output, indented; a long list keeps its beginning and its end."""
        lines = output.splitlines()
        if len(lines) > SHOWN:
            hidden = len(lines) - SHOWN + 1
            lines = [*lines[: SHOWN // 2], f"    … {hidden} more lines …", *lines[-(SHOWN - SHOWN // 2 - 1) :]]
        for line in lines:
            self.say(f"  {line if len(line) <= WIDTH else line[: WIDTH - 1] + '…'}")

    def _process(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=STEP_SECONDS,
            check=False,
        )

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "notifier.cli.main", "-C", str(self.campaign), "--by", "demo", *arguments]


def tell(directory: Path | None, *, as_json: bool = False) -> int:
    """Tell the story in ``directory`` (new or empty; default: a new folder for temporary files). 0 if all held."""
    if directory is not None and directory.exists() and any(directory.iterdir()):
        raise OperatorError(f"{directory} is not empty: name a new folder, or none")
    home = directory or Path(tempfile.mkdtemp(prefix="notifier-demo-"))
    home.mkdir(parents=True, exist_ok=True)
    campaign = home / "campaign"
    started = time.monotonic()
    with DemoRelay(drop_at=DROP_AT) as relay:
        story = Story(campaign, relay, quiet=as_json)
        story.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("NOTIFIER_")},
            "NOTIFIER_RELAY__HOST": "127.0.0.1",
            "NOTIFIER_RELAY__PORT": str(relay.port),
            "NOTIFIER_RETRY__FIRST_SECONDS": "0.5",
            "NOTIFIER_RETRY__MAX_SECONDS": "1",
            "PYTHONUNBUFFERED": "1",
        }
        _files_in(story)
        _approve(story)
        _send(story)
        held = _account(story, home)
    story.say()
    story.say(f"All of this took {time.monotonic() - started:.0f} s and lies in {home}.")
    if as_json:
        click.echo(json.dumps({"directory": str(home), "held": held}))
    return 0 if held else 1


def _files_in(story: Story) -> None:
    story.say("An invented mutuelle, its invented members, and the two operators' exports of who was affected.")
    story.head("1. A campaign: settings, key, database")
    story.show("init DIR --sample")
    done = subprocess.run(
        [sys.executable, "-m", "notifier.cli.main", "init", str(story.campaign), "--sample"],
        env=story.environment,
        capture_output=True,
        text=True,
        timeout=STEP_SECONDS,
        check=True,
    )
    story.tell(done.stdout)
    samples = shipped("data") / "samples"
    story.head("2. The operators' exports: rows become records, records become persons")
    for profile, name in EXPORTS:
        story.run("intake", str(samples / name), "--profile", profile, expect=(0, 1))
    story.say("  The same file a second time changes nothing:")
    story.run("intake", str(samples / EXPORTS[0][1]), "--profile", EXPORTS[0][0])
    story.head("3. The mutuelle's own directory, and who is owed what, by which route")
    story.run("directory", str(samples / "directory.csv"), "--profile", "directory", "--as-of", "2024-01-31")
    story.run("plan", expect=(0, 1))


def _approve(story: Story) -> None:
    story.head("4. The texts: checked against Art. 34(2), then frozen")
    story.run("check")
    story.run("approve", "--yes")


def _send(story: Story) -> None:
    story.head("5. Sending, and the power goes out")
    story.show("send --wait")
    half = story.relay.when(KILL_AT)
    sender = subprocess.Popen(
        story.command("send", "--wait"),
        env=story.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        if not half.wait(STEP_SECONDS):
            raise NotifierError("the sender never got half-way")
    finally:
        sender.send_signal(signal.SIGKILL)
        sender.wait()
    story.say(f"  kill -9 after {len(story.relay.ledger.accepted)} messages. Now the same command again:")
    story.run("send", "--wait", expect=(0, 1))
    ledger = story.relay.ledger
    story.say(
        f"  Meanwhile the relay greylisted {len(ledger.greylisted)} mailboxes, called {len(ledger.full)} full, refused "
        f"{len(ledger.unknown)} as unknown (those go to the post), and once took a message and hung up without a word."
    )


def _account(story: Story, home: Path) -> bool:
    story.head("6. Where everybody stands")
    story.run("status", expect=(0, 1))
    standing = story.run("status", "--json", expect=(0, 1), show=False)
    wave = standing["waves"]["initial"]["notifications"]
    pack, altered = home / "proof.zip", home / "proof-altered.zip"
    story.head("7. The proof, and an altered copy of it")
    story.run("proof", "export", "--out", str(pack))
    explained = _compare(story, pack, accepted=standing["waves"]["initial"]["deliveries"].get("accepted", 0))
    fingerprint = story.run("proof", "verify", str(pack), "--json", show=False)["fingerprint"]
    story.run("proof", "verify", str(pack), "--fingerprint", fingerprint)
    _alter(pack, altered)
    story.say("  Somebody changes one word of one entry:")
    story.run("proof", "verify", str(altered), expect=(1,))
    with zipfile.ZipFile(pack) as archive:
        (home / "verify.py").write_bytes(archive.read("verify.py"))
    story.say("  And without notifier, with the pack's own verifier (Python's standard library alone):")
    story.say(click.style(f"$ python verify.py {pack.name} --fingerprint {fingerprint[:16]}…", fg="cyan"))
    alone = subprocess.run(
        [sys.executable, "-I", str(home / "verify.py"), str(pack), "--fingerprint", fingerprint],
        capture_output=True,
        text=True,
        timeout=STEP_SECONDS,
        check=False,
    )
    story.tell(alone.stdout + alone.stderr)
    story.head("8. Three of the notices, to open")
    for path in _notices(story, home / "notices"):
        story.say(f"  {path}")
    return explained and bool(standing["balances"]) and wave["pending"] == 0 and alone.returncode == 0


def _compare(story: Story, pack: Path, *, accepted: int) -> bool:
    """The relay's ledger beside the journal: every message it took is accepted there, and what it took twice has a
    doubt to its name."""
    taken = _by_message(story.relay.ledger)
    with zipfile.ZipFile(pack) as archive:
        entries = [json.loads(line) for line in archive.read("entries.jsonl").splitlines()]
    doubts = {entry["entry"]["subject"] for entry in entries if entry["entry"]["kind"] == "delivery_in_doubt"}
    doubled = {message_id for message_id, count in taken.items() if count > 1}
    unexplained = {message_id for message_id in doubled if message_id.strip("<>").split("@")[0] not in doubts}
    story.say(
        f"  Beside it, the relay's own ledger: {taken.total()} messages taken, {len(taken)} different ones (the "
        f"journal has {accepted} deliveries accepted). {len(doubled)} came twice; {len(doubled) - len(unexplained)} of "
        "these have their doubt in the journal."
    )
    return len(taken) == accepted and not unexplained


def _by_message(ledger: Ledger) -> Counter[str]:
    """How often the relay took each message, by Message-ID (stable over attempts)."""
    return Counter(_parse(content)["Message-ID"] for _recipient, content in ledger.accepted)


def _parse(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def _kind(text: str) -> str:
    """Which of the three notices to open this one could be; "" for none."""
    if "représentant légal" in text:
        return "enfants"
    if "SIRET" in text:
        return "pharmacie-ou-cabinet-avec-rib" if "votre RIB" in text else ""
    return "assure"


def _notices(story: Story, out: Path) -> list[Path]:
    """Three different notices that the relay took: an insured person's, a professional's, a household's."""
    kinds: dict[str, tuple[EmailMessage, bytes]] = {}
    for _recipient, content in story.relay.ledger.accepted:
        message = _parse(content)
        body = message.get_body(("plain",))
        text = body.get_content() if body else ""
        if kind := _kind(text):
            kinds.setdefault(kind, (message, content))
    out.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for kind, (message, content) in sorted(kinds.items()):
        page = message.get_body(("html",))
        assert page is not None
        (out / f"{kind}.eml").write_bytes(content)
        (out / f"{kind}.html").write_text(page.get_content(), encoding="utf-8")
        paths += [out / f"{kind}.html", out / f"{kind}.eml"]
    return paths


def _alter(pack: Path, altered: Path) -> None:
    """A copy in which one entry says "accepted" where it said "refused"."""
    with zipfile.ZipFile(pack) as source, zipfile.ZipFile(altered, "w", zipfile.ZIP_DEFLATED) as target:
        for item in source.infolist():
            content = source.read(item)
            if item.filename.endswith("entries.jsonl"):
                content = content.replace(b"delivery_refused", b"delivery_accepted", 1)
            target.writestr(item, content)
