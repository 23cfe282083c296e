"""`preview`, `check`, `approve`: the texts, before anybody gets them."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from notifier.cli.terminal import LEFT, OPERATOR, TRY_LATER, Line, Terminal, command, signed
from notifier.errors import OperatorError

if TYPE_CHECKING:
    from notifier.notices.dossier.requests import Dossier


@command("preview", short_help="the notices as files, with an invented person")
@click.option("--segment", type=int, help="Only this segment (`plan --json` lists them).")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Where to (default: DIR/preview).")
@click.option("--wave", default="initial", show_default=True)
def preview(terminal: Terminal, segment: int | None, out: Path | None, wave: str) -> int:
    """Write .html, .txt and .eml of each segment, and an index, with an invented person in them."""
    from notifier import app

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="preview", writes=False) as opened:
            target = out or terminal.folder / "preview"
            files = await app.write_preview(opened, target, wave=wave, segment=segment)
        terminal.result(
            {"out": str(target), "files": [str(path) for path in files]},
            *(str(path) for path in files),
            f"Open {target / 'index.html'} in a browser." if files else "Nothing is planned: `notifier plan` first.",
        )
        return 0 if files else LEFT

    return asyncio.run(work())


@command("check", short_help="texts, settings, relay; blocks on errors")
@click.option("--wave", default="initial", show_default=True)
def check(terminal: Terminal, wave: str) -> int:
    """Check texts and settings against the rules of Art. 34(2) (docs/check-rules.md), ask the relay
    and its fallback what they offer, and the DNS what it says of the senders' domains."""
    from notifier import app

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="check", writes=False) as opened:
            findings, relays, domains = await app.check_wave(opened, wave)
        asked = {relay.setting: asdict(relay) for relay in relays}
        errors = [finding for finding in findings if finding.severity == "error"]
        body = {
            "errors": len(errors),
            "warnings": len(findings) - len(errors),
            "findings": [
                {
                    "severity": each.severity,
                    "code": each.code,
                    "file": each.file,
                    "line": each.line,
                    "where": each.where,
                    "text": each.text,
                }
                for each in findings
            ],
            "relay": asked.get("relay"),
            "fallback": asked.get("relay.fallback"),
            "domains": [
                {
                    "sender": each.sender,
                    "domain": each.domain,
                    "checked": list(each.checked),
                    "not_checked": dict(each.not_checked),
                }
                for each in domains
            ],
        }
        lines = [f"{each.severity:8} {each.code:28} {each.place}: {each.text}" for each in findings]
        for each in domains:
            if each.checked:
                lines.append(f"{'ok':8} {', '.join(each.checked)} of {each.domain} looked up")
            for topic, why in each.not_checked.items():
                lines.append(f"{'':8} {topic} of {each.domain} not checked: {why}")
        for relay in relays:
            lines.append(f"{'ok' if relay.answers and not relay.refused else 'relay':8} {relay.text}")
        next_steps = f"`notifier preview{_of(wave)}`, then `notifier approve{_of(wave)}`."
        if errors:
            lines.append(f"{len(errors)} errors block `approve`.")
        elif all(relay.answers and not relay.refused for relay in relays):
            lines.append(f"Nothing blocks. Next: {next_steps}")
        else:
            lines.append(f"Nothing blocks `approve`, but see what a relay says above before `send`. Next: {next_steps}")
        terminal.result(body, *lines)
        if errors or any(relay.refused for relay in relays):
            return OPERATOR
        return TRY_LATER if any(not relay.answers for relay in relays) else 0

    return asyncio.run(work())


@command("approve", short_help="freeze the batch: what was approved is what goes out")
@click.option("--wave", default="initial", show_default=True)
@click.option("--request", "asks", is_flag=True, help="Approve nothing: write the dossier to be read and signed.")
@click.option("--out", metavar="DOSSIER", type=click.Path(path_type=Path), help="Its folder, or a file ending in .zip.")
@click.option(
    "--signature",
    "signatures",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A signature of the dossier (manifest.sha256.sig); twice for two signers.",
)
@click.option("--take-back", "takes_back", is_flag=True, help="Take the approval back of what has told nobody.")
@click.option("--why", type=Line(), help="With --take-back, for the journal: name no person.")
@click.option("--take-over", is_flag=True, help="With --take-back: another machine sent last, and sends no more.")
@click.option("--by", type=Line(), help="Who decides, for the journal (default: the system's user).")
def approve(
    terminal: Terminal,
    wave: str,
    asks: bool,
    out: Path | None,
    signatures: tuple[Path, ...],
    takes_back: bool,
    why: str | None,
    take_over: bool,
    by: str | None,
) -> int:
    """Show what is approved, then freeze it: texts, settings, and the list of notifications (I7).

    What is added later forms the next batch. With [approval] required = 1 or 2: first --request --out DOSSIER, then
    --signature FILE for each signer (docs/approval.md).

    --take-back --why TEXT, where settings or a text must change and cannot be set back: e-mails of the wave that wait
    and told nobody are withdrawn, and the next plan makes them anew. What may have told somebody is held in doubt
    (exit 1). Not while `send` runs. Safe to run twice.
    """
    from notifier import app

    terminal = signed(terminal, by)
    if asks != (out is not None) or (asks and signatures):
        raise OperatorError("the dossier takes both --request and --out DOSSIER; signatures come afterwards")
    if takes_back and (asks or signatures):
        raise OperatorError("--take-back goes with --wave, --why and --take-over alone")
    if takes_back != (why is not None) or (take_over and not takes_back):
        raise OperatorError("--take-back takes --why TEXT, for the journal; nothing else takes --why or --take-over")
    if why is not None:
        return _take_back(terminal, wave, why, takes_over=take_over)

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="approve") as opened:
            if out is not None:
                made_out = await app.request_approval(opened, wave, out, overwrite=terminal.assume_yes)
                return _requested(terminal, made_out, out)
            preview_lines, waiting = await app.describe_batch(opened, wave)
            if not waiting:
                terminal.result(
                    {"wave": wave, "batch": None, "notifications": 0, "fingerprint": opened.vault.fingerprint},
                    "Nothing is waiting for approval.",
                )
                return 0
            for line in preview_lines:
                terminal.note(line)
            signed = f" with {len(signatures)} signatures" if signatures else ""
            terminal.confirm(f"Approve {waiting} notifications of wave {wave}{signed}, as {terminal.by}?")
            made = await app.approve_wave(opened, wave, signatures)
            fingerprint = opened.vault.fingerprint
        terminal.result(
            {
                "wave": wave,
                "batch": made.number,
                "digest": made.digest,
                "notifications": made.notifications,
                "dossier": made.dossier,
                "signed_by": [{"name": each.name, "role": each.role} for each in made.signatures],
                "fingerprint": fingerprint,
            },
            f"Batch {made.number} of wave {wave} is approved by {terminal.by}: {made.notifications} notifications.",
            *(f"  signed by    {each.name} ({each.role})" for each in made.signatures),
            f"  digest       {made.digest}",
            f"  fingerprint  {fingerprint}",
            "Next: `notifier send`.",
        )
        return 0

    return asyncio.run(work())


def _take_back(terminal: Terminal, wave: str, why: str, *, takes_over: bool) -> int:
    from notifier import app
    from notifier.notices.taking_back import TakenBack

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="approve") as opened:
            found = await app.look_at_approved(opened, wave)
            made = TakenBack()
            if any(found):
                terminal.note(f"  {found.untold} e-mails told nobody, for {found.persons} persons: they are withdrawn.")
                terminal.note(f"  {found.doubted} may have told somebody: they are held in doubt.")
                if found.sending:
                    terminal.note(f"  {found.sending} were being sent when a `send` was killed: in doubt, and held.")
                terminal.confirm(f"Take the approval of wave {wave} back for these, as {terminal.by}?")
                made = await app.take_back_approval(opened, wave, why, takes_over=takes_over)
        lines = [f"{made.deliveries} e-mails of wave {wave} are withdrawn; {made.persons} persons wait for a plan."]
        if made.held:
            lines.append(f"{made.held} may have told somebody, and are held in doubt: `notifier doubt list`.")
        following = f"plan{_of(wave)}`, `notifier check{_of(wave)}`, then `notifier approve{_of(wave)}"
        lines.append(f"Next: `notifier {following if made.deliveries else 'status'}`.")
        terminal.result({"wave": wave, **made.as_json()}, *lines)
        return LEFT if made.held else 0

    return asyncio.run(work())


def _requested(terminal: Terminal, made: Dossier | None, out: Path) -> int:
    if made is None:
        terminal.result({"out": None, "notifications": 0}, "Nothing is waiting for approval.")
        return 0
    has_pdf = "dossier.pdf" in made.files
    terminal.result(
        {
            "out": str(out),
            "wave": made.wave,
            "batch": made.number,
            "notifications": made.notifications,
            "sha256": made.sha256,
            "required": made.required,
            "pdf": has_pdf,
        },
        f"{out}: the dossier of batch {made.number} of wave {made.wave}, {made.notifications} notifications.",
        f"  sha256  {made.sha256}",
        *([] if has_pdf else ["  no PDF: typst is not installed (the extra `post`); dossier.html says the same"]),
        f"Each of {made.required} signers: ssh-keygen -Y sign -n notifier-approval -f KEY manifest.sha256"
        if made.required
        else "No signature is required ([approval] required = 0).",
        f"Next: `notifier approve{_of(made.wave)}{made.required * ' --signature manifest.sha256.sig'}`.",
    )
    return 0


def _of(wave: str) -> str:
    return "" if wave == "initial" else f" --wave {wave}"


COMMANDS = [preview, check, approve]
