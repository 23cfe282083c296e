"""`proof`: the evidence, and its check."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from notifier.cli.later_commands import later
from notifier.cli.terminal import Terminal, command


@click.group("proof", short_help="the evidence, and its check")
def proof() -> None:
    """The journal made portable, and checkable by somebody who trusts nobody."""


@command("export", short_help="write the proof pack")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The pack (a zip).")
def export(terminal: Terminal, out: Path) -> int:
    """Write the proof pack: entries, checkpoints, texts, counts, the public key, and a verifier. No personal data.

    An existing FILE is only replaced with --yes.
    """
    from notifier import app

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="proof export") as opened:
            report = await app.export_proof(opened, out, overwrite=terminal.assume_yes)
        terminal.result(
            {**report.as_json(), "out": str(out)},
            f"{out}: {report.entries} entries, signed by {report.fingerprint}.",
            f"Check it anywhere: notifier proof verify {out} --fingerprint {report.fingerprint}",
        )
        return 0

    return asyncio.run(work())


@command("verify", short_help="check a proof pack, offline")
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--fingerprint", metavar="F", help="The signing key's fingerprint that you were given at the start.")
@click.option(
    "--known-checkpoint",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A checkpoint that left the house earlier: a journal rewritten since is refused, even with all keys.",
)
def verify(terminal: Terminal, file: Path, fingerprint: str | None, known_checkpoint: Path | None) -> int:
    """Check a proof pack or a person's proof without the campaign: every hash, every signature, and the counts.

    Exit 1 if it does not hold; exit 3, and EXERCICE, for the pack of a rehearsal (`drill run`): it proves nothing.
    """
    from notifier.proof.verify import verify as verify_pack

    known = known_checkpoint.read_text(encoding="utf-8") if known_checkpoint else None
    verdict = verify_pack(file, fingerprint=fingerprint, known_checkpoint=known)
    terminal.result(verdict.as_json(), *verdict.lines())
    return verdict.exit_code


@command("person", short_help="one person's own proof")
@click.option("--reference", required=True, help="The case reference printed on the notice.")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path))
def person(terminal: Terminal, reference: str, out: Path) -> int:
    """One person's entries, with their place in the journal; reveals nobody else."""
    from notifier import app

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="proof person") as opened:
            report = await app.person_proof(opened, reference, out)
        terminal.result({"out": str(out), "entries": report.entries}, f"{out}: {report.entries} entries.")
        return 0

    return asyncio.run(work())


for _command in (
    export,
    verify,
    person,
    later("timestamp", "RFC 3161", group="proof"),
    later("audit", "the auditor's sample", group="proof"),
    later("draw", "a random sample", group="proof"),
):
    proof.add_command(_command)

COMMANDS = [proof]
