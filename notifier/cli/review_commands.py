"""`people review`, `people sample`: what only somebody can decide, and the control of what was decided by itself."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from notifier.cli.terminal import LEFT, Line, Terminal, command
from notifier.errors import OperatorError

if TYPE_CHECKING:
    from notifier import app
    from notifier.people.samples import Sample

REASONS = (
    "ambiguous", "near_miss", "wrong_match", "missing_forename", "minor_without_holder", "ended_contract_child",
)  # fmt: skip


@command("review", short_help="doubts about who is who, and the decision on each")
@click.option("--reason", type=click.Choice(REASONS), help="Only cases of this kind.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many, the oldest first.")
@click.option("--decided", is_flag=True, help="The decided cases instead of the open ones.")
@click.option("--case", "case_id", type=int, help="The case to decide.")
@click.option("--revise", "revised", type=int, metavar="CASE", help="The decided case to decide anew.")
@click.option("--decide", metavar="DECISION", help="contact:ID (one of the candidates), none, own or own_letter.")
@click.option("--why", type=Line(), help="Why; for the journal, so name no person.")
@click.option("--export", "out", type=click.Path(dir_okay=False, path_type=Path), help="Write the list there (CSV).")
@click.option(
    "--import",
    "brought",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Apply the decisions of such a list.",
)
def review(
    terminal: Terminal,
    reason: str | None,
    limit: int | None,
    decided: bool,
    case_id: int | None,
    revised: int | None,
    decide: str | None,
    why: str | None,
    out: Path | None,
    brought: Path | None,
) -> int:
    """List the open cases with their evidence, or decide: one (--case N --decide contact:ID), or many (--export,
    --import).

    Values are shown at this terminal, and in the exported list, which is a registered clear file: never with --json.
    The journal gets the decision and its author. --revise N --decide … decides anew, until the person's notice is
    sent, or may have been.
    """
    number = case_id if case_id is not None else revised
    asked = [number is not None or decide is not None, out is not None, brought is not None]
    if sum(asked) > 1 or (case_id is not None and revised is not None):
        raise OperatorError("one thing at a time: --case or --revise with --decide, --export, or --import")
    if (number is None) != (decide is None):
        raise OperatorError("a decision takes both --case N (or --revise N) and --decide DECISION")
    if why and decide is None:
        raise OperatorError("--why goes with --decide; in a list it stands in the column reason")

    async def work() -> int:
        from notifier import app

        writes = any(asked)
        async with app.open_campaign(terminal.folder, by=terminal.by, command="people review", writes=writes) as opened:
            if number is not None and decide is not None:
                made = await app.decide_review(opened, number, decide, revise=revised is not None, why=why or "")
                body = {"case": number, "decision": decide, "effect": made.effect}
                said = {"new": "Decided.", "revised": "Decided anew.", "already": "That was decided already."}
                terminal.result(body, f"{said[made.effect]} Next: `notifier plan`.")
                return 0
            if out is not None:
                many = await app.write_review_list(opened, out, reason=reason or "", limit=limit, decided=decided)
                told = f"{many} cases in {out}: personal data in clear; bring it back with --import, then remove it."
                terminal.result({"out": str(out), "cases": many}, told if many else "There is nothing to write.")
                return 0
            if brought is not None:
                return await _bring(terminal, opened, brought)
            cases, counted = await app.list_reviews(opened, reason=reason or "", limit=limit, decided=decided)
        total = sum(counted.values())
        word = "decided" if decided else "open"
        body = {word: total, "by_reason": counted, "cases": [case.as_json() for case in cases]}
        lines = [line for case in cases for line in case.lines()]
        if total:
            lines.append(f"{total} {word}: " + ", ".join(f"{each} {count}" for each, count in counted.items()) + ".")
        if total and not decided:
            lines.append("Decide: `notifier people review --case N --decide contact:ID|none|…`, or --export FILE.csv.")
        terminal.result(body, *lines or [f"Nothing is {word}."])
        return LEFT if total and not decided else 0

    return asyncio.run(work())


async def _bring(terminal: Terminal, opened: app.App, path: Path) -> int:
    from notifier import app

    found = await app.look_at_review_list(opened, path)
    if found.count:
        terminal.confirm(f"Apply {found.told()}?")
        found = await app.bring_review_list(opened, path)
    body = {
        "decided": found.count,
        "decisions": found.decisions,
        "revised": found.revised,
        "already": found.already,
        "undecided": found.undecided,
    }
    terminal.result(body, f"Applied: {found.told()}.", "Next: `notifier plan`.")
    return LEFT if found.undecided else 0


@command("sample", short_help="random matches side by side, for the control")
@click.option("-n", "many", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many pairs.")
@click.option("--seed", type=click.IntRange(min=0), help="Draw the same pairs again.")
@click.option("--verdict", metavar="ok|wrong:REF[,REF…]", help="The verdict on the pairs that --seed drew before.")
@click.option("--shown", metavar="SAMPLE", help="The sample that was shown: refuse the verdict if it is another now.")
def sample(terminal: Terminal, many: int, seed: int | None, verdict: str | None, shown: str | None) -> int:
    """Show random matched pairs, the person as the export says and the member as the directory says, and ask for the
    verdict.

    The verdict goes to the journal, without values. A pair found wrong is held for review at once. Without a terminal:
    first --seed alone, then the same with --verdict.
    """
    if verdict is not None and seed is None:
        raise OperatorError("a verdict is about the pairs that were shown: say their --seed")
    wrong = None if verdict is None else _wrong(verdict)
    drawn = random.SystemRandom().randrange(1 << 32) if seed is None else seed

    async def work() -> int:
        from notifier import app

        open_campaign, asks = app.open_campaign, _is_asked(terminal)
        writes = wrong is not None or asks
        async with open_campaign(terminal.folder, by=terminal.by, command="people sample", writes=writes) as opened:
            found = await app.draw_sample(opened, many, drawn)
            if shown is not None and not found.digest.startswith(shown):
                raise OperatorError("who is matched has changed since that sample was shown: draw another one")
            answer = wrong
            if answer is None and asks:
                for line in _lines(found):
                    click.echo(line)
                answer = _ask(found)
            if answer is not None:
                made = await app.judge_sample(opened, many, drawn, answer, digest=found.digest)
                body = {"n": made.pairs, "wrong": list(made.wrong), "seed": drawn, "sample": found.digest}
                lines = [f"Verdict on {made.pairs} pairs: {len(made.wrong)} wrong. It is in the journal."]
                if made.wrong:
                    lines.append("They are held: `notifier people review --reason wrong_match`, then `notifier plan`.")
                terminal.result(body, *lines)
                return LEFT if made.wrong else 0
        body = {
            "n": len(found.pairs), "matched": found.matched, "seed": drawn, "sample": found.digest,
            "pairs": [
                {"person": pair.reference, "sender": pair.sender, "rung": pair.rung, "differs": pair.differing()}
                for pair in found.pairs
            ],
        }  # fmt: skip
        again = f"-n {many} --seed {drawn} --shown {found.digest[:8]}"
        asked = f"The verdict: `notifier people sample {again} --verdict ok|wrong:REF,REF`."
        terminal.result(body, *([] if asks else _lines(found)), asked)
        return 0

    return asyncio.run(work())


def _is_asked(terminal: Terminal) -> bool:
    return not terminal.as_json and not terminal.assume_yes and sys.stdin.isatty() and sys.stdout.isatty()


def _wrong(verdict: str) -> list[str]:
    word, _, references = verdict.partition(":")
    named = [each.strip().lower() for each in references.split(",") if each.strip()]
    if (word == "ok" and not references) or (word == "wrong" and named):
        return named
    raise OperatorError("a verdict is ok, or wrong:REF (several with commas)")


def _lines(found: Sample) -> list[str]:
    lines = [line for pair in found.pairs for line in pair.lines()]
    return [*lines, f"{len(found.pairs)} of {found.matched} matched pairs, seed {found.seed}."]


def _ask(found: Sample) -> list[str] | None:
    """References of the wrong pairs; None: no verdict now."""
    references = {pair.reference for pair in found.pairs}
    while True:
        said = click.prompt(
            "Wrong pairs (references, with spaces), ok if there is none, empty for no verdict",
            default="", show_default=False, err=True,
        ).split()  # fmt: skip
        if not said:
            return None
        if said == ["ok"]:
            return []
        if not (unknown := [each for each in said if each not in references]):
            return list(said)
        click.echo(f"{unknown[0]!r} is none of them", err=True)
