"""`plan`, `people`: who is owed what, and the decisions that only somebody can take."""

from __future__ import annotations

import asyncio

import click

from notifier.cli.later_commands import later
from notifier.cli.terminal import LEFT, Terminal, command


@command("plan", short_help="match, households, segments, notifications")
@click.option("--wave", default="initial", show_default=True, help="The round's name.")
def plan(terminal: Terminal, wave: str) -> int:
    """Match persons to contacts and make exactly one notification per person.

    Nobody is guessed: an ambiguous match goes to `people review`. Run it again after each new file or decision.
    """
    from notifier import app

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="plan") as opened:
            made = await app.plan_wave(opened, wave)
            held = await app.held_files(opened)
        body = made.as_json()
        body["held"] = [each.as_json() for each in held]
        routes = body["by_route"]
        lines = [
            f"Wave {wave}: {body['notifications']} notifications in {len(body['segments'])} segments.",
            f"  by e-mail {routes['email']} · by post {routes['post']} · no route {routes['none']}",
        ]
        if body["review"]:
            lines.append(f"  {body['review']} persons are under review: `notifier people review`.")
        if body.get("undecided_adult_dependants"):
            lines.append(
                f"  {body['undecided_adult_dependants']} adult dependants have no mailbox of their own: decide "
                "[households] adult_dependants."
            )
        if body.get("supplement_due"):
            lines.append(f"  {body['supplement_due']} informed persons have new exposures: a supplement is due.")
        for each in held:
            lines.append(f"  the file {each.sha256[:12]} is held: {each.headline()}; nobody in it is informed.")
        lines.append("Next: `notifier preview`, `notifier check`, then `notifier approve`.")
        terminal.result(body, *lines)
        return LEFT if body["review"] else 0

    return asyncio.run(work())


@click.group("people", short_help="review what only somebody can decide")
def people() -> None:
    """Persons: the review list, and later look-up and withdrawal."""


@command("review", short_help="ambiguous matches, and the decision on each")
@click.option("--case", "case_id", type=int, help="The case to decide.")
@click.option("--decide", metavar="DECISION", help="contact:ID (one of the candidates), none, or own.")
def review(terminal: Terminal, case_id: int | None, decide: str | None) -> int:
    """List the open cases with their evidence, or decide one of them (--case N --decide contact:ID).

    Values are shown at this terminal only; the journal gets the decision and its author.
    """
    from notifier import app
    from notifier.errors import OperatorError

    if (case_id is None) != (decide is None):
        raise OperatorError("a decision takes both --case N and --decide DECISION")

    async def work() -> int:
        writes = case_id is not None
        async with app.open_campaign(terminal.folder, by=terminal.by, command="people review", writes=writes) as opened:
            if case_id is not None and decide is not None:
                await app.decide_review(opened, case_id, decide)
                terminal.result({"case": case_id, "decision": decide}, "Decided. Next: `notifier plan`.")
                return 0
            cases = await app.list_reviews(opened)
        body = {"open": len(cases), "cases": [case.as_json() for case in cases]}
        lines = [line for case in cases for line in case.lines()]
        lines.append(
            f"{len(cases)} open. Decide: `notifier people review --case N --decide contact:ID|none|own`."
            if cases
            else "Nothing is open."
        )
        terminal.result(body, *lines)
        return LEFT if cases else 0

    return asyncio.run(work())


people.add_command(review)
people.add_command(later("find", "look a person up", group="people"))
people.add_command(later("withdraw", "take a person out", group="people"))

COMMANDS = [plan, people]
