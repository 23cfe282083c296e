"""`people find`, `people withdraw`, `hotline export`: one person at a time, and the helpline's list."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from notifier.cli.terminal import LEFT, Line, Terminal, command
from notifier.errors import OperatorError

# The ways of notifier/enquiries.py, in whose questions the words are.
_WAYS = ("nir", "contract", "professional", "email")


def _asked(questions: dict[str, str]) -> dict[str, str]:
    """What is typed at the terminal, or stands on standard input line by line: never an argument, which a shell's
    history and a list of processes would keep. A NIR is not shown while it is typed."""
    if not sys.stdin.isatty():
        lines = [sys.stdin.readline().rstrip("\r\n") for _ in questions]
        return dict(zip(questions, lines, strict=True))
    return {
        name: click.prompt(question, default="", show_default=False, err=True, hide_input=name == "nir")
        for name, question in questions.items()
    }


@command("find", short_help="is this person concerned? By case reference, or by what it says of itself")
@click.option("--reference", type=Line(), help="The case reference on the notice, or the start of a pseudonym.")
@click.option(
    "--with",
    "way",
    type=click.Choice(_WAYS),
    help="Ask for: NIR, birth date, forename · contract, birth date, name · SIRET, FINESS, RPPS · e-mail.",
)
def find(terminal: Terminal, reference: str | None, way: str | None) -> int:
    """Look somebody up: concerned or not for each sender, exposures, waves, states, dates, case reference.

    With --with the values are asked for at the terminal (or read from standard input, a line each); they are turned
    into keyed digests, compared, and forgotten. Every look-up is journaled with its author (--by). Exit 1: not found.
    """
    from notifier import app
    from notifier.enquiries import WAYS

    if (reference is None) == (way is None):
        raise OperatorError("say either --reference REF, or --with nir|contract|professional|email")
    typed = _asked(dict(WAYS[way])) if way else {}

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="people find") as opened:
            if way:
                answer = await app.find_identity(opened, way, typed)
            else:
                answer = await app.find_reference(opened, reference or "")
            zone = opened.settings.zone
        terminal.result(answer.as_json(), *answer.lines(zone))
        return 0 if answer.found else LEFT

    return asyncio.run(work())


@command("withdraw", short_help="take a person out, with reason and author")
@click.argument("reference", metavar="[REF]", required=False)
@click.option(
    "--reason",
    type=click.Choice(["operator", "deceased", "exempt", "decision"]),
    help="The operator withdrew it, it died, Art. 34(3) (with --article), or somebody's decision.",
)
@click.option("--article", type=click.Choice(["a", "b"]), default=None, help="Of an exemption: Art. 34(3)(a) or (b).")
@click.option("--why", type=Line(), help="In words, for the journal: name no person.")
@click.option(
    "--import",
    "listed",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A list of references, one per line.",
)
@click.option("--reinstate", is_flag=True, help="Take in again, as long as no approval froze the exclusion.")
def withdraw(
    terminal: Terminal,
    reference: str | None,
    reason: str | None,
    article: str | None,
    why: str | None,
    listed: Path | None,
    reinstate: bool,
) -> int:
    """Take a person out: REF is the case reference of its notice, or 8 or more hex digits of its pseudonym.

    What waits and told nobody is taken back, an e-mail that every server answered with "later" too. What may have told
    the person stays, is not sent again, and a rectification is the way (exit 1). All of a list or nobody. The decision,
    its reason and its author (--by) go to the journal.
    """
    from notifier import app
    from notifier.people.exclusions import Ground, read_references

    if (reference is None) == (listed is None):
        raise OperatorError("say whom: one REF, or a list with --import FILE")
    if why is None:
        raise OperatorError("say why (--why): it goes to the journal")
    if reinstate and (reason or article):
        raise OperatorError("--reinstate takes no --reason")
    if not reinstate and reason is None:
        raise OperatorError("--reason is one of operator, deceased, exempt, decision")
    words = read_references(listed) if listed else [reference or ""]
    ground = None if reinstate else Ground(reason or "", why, article or "")

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="people withdraw") as opened:
            if ground is None:
                back = await app.reinstate_persons(opened, words, why)
                body = {"reinstated": len(back.persons), "already": len(back.already), "persons": back.persons}
                terminal.result(body, f"{len(back.persons)} taken in again. Next: `notifier plan`.")
                return 0
            made = await app.withdraw_persons(opened, words, ground)
        lines = [f"{len(made.persons)} taken out ({ground.reason}); {made.taken_back} deliveries taken back."]
        if made.already:
            lines.append(f"  {len(made.already)} were out already.")
        if made.anew:
            lines.append(
                f"  The notice of {made.anew} others, who shared one with them, is made anew: `notifier plan`, then "
                "`notifier approve`."
            )
        if made.begun:
            lines.append(
                f"  {len(made.begun)} are being told, or were: that is not taken back, and a notice that informs "
                "nobody else is not sent again. Who was told in error is owed a rectification (`notifier plan --kind "
                "rectification`)."
            )
        terminal.result(made.as_json(), *lines)
        return LEFT if made.begun or made.anew else 0

    return asyncio.run(work())


@click.group("hotline", short_help="what the helpline needs")
def hotline() -> None:
    """For the call centre."""


@command("export", short_help="case references that are genuine, with their day")
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Where the list goes (CSV)."
)
@click.option("--wave", help="Only this round.")
def export(terminal: Terminal, out: Path, wave: str | None) -> int:
    """The case reference, day, kind of wave and sender of every notice that went out: whoever reads a reference out is
    told "genuine, of that day", or that it is not ours. No personal data. Journaled."""
    from notifier import app

    if out.exists():
        terminal.confirm(f"{out} exists already. Replace it?")

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="hotline export") as opened:
            count = await app.write_hotline(opened, out, wave)
        terminal.result({"out": str(out), "references": count}, f"{count} references in {out}.")
        return 0

    return asyncio.run(work())


hotline.add_command(export)

COMMANDS = [hotline]
