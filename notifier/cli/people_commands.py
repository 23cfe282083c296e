"""`plan`, `people`: who is owed what, and the decisions that only somebody can take."""

from __future__ import annotations

import asyncio

import click

from notifier.cli.lookup_commands import find, withdraw
from notifier.cli.review_commands import review, sample
from notifier.cli.terminal import LEFT, Terminal, command
from notifier.errors import OperatorError

_ROUTES = {"email": "by e-mail", "post": "by post", "none": "no route"}


@command("plan", short_help="match, households, segments, notifications")
@click.option("--wave", default="initial", show_default=True, help="The round's name.")
@click.option(
    "--kind",
    metavar="KIND",
    help="Of a new round, if its name does not say it: initial, supplement, correction, rectification, follow-up, "
    "precaution.",
)
@click.option(
    "--who",
    multiple=True,
    metavar="TRAIT=VALUE",
    help="Of a correction, follow-up or precaution: whom. notice=HASH (of a batch or a text), segment=N, "
    "incident=CODE, audience=A, sender=S, wave=W; several hold together.",
)
@click.option("--dry-run", is_flag=True, help="Only show: nothing is written.")
@click.option("--drop", is_flag=True, help="Forget this round, as long as nothing of it is approved.")
@click.option("--forecast", is_flag=True, help="Then the projected end, by day and by provider (docs/pace.md).")
def plan(
    terminal: Terminal,
    wave: str,
    kind: str | None,
    who: tuple[str, ...],
    dry_run: bool,
    drop: bool,
    forecast: bool = False,
) -> int:
    """Match persons to contacts and make exactly one notification for each person whom the round concerns.

    Nobody is guessed: an ambiguous match goes to `people review`. Run it again after each new file or decision. A
    supplement tells what is new to those who were told before; a rectification, that they were not concerned.

    With --forecast also when everything that is planned and has not gone out will have, under the pace, the caps and
    the hours that campaign.toml sets.
    """
    from notifier import app

    if drop:
        if kind is not None or who or dry_run or forecast:
            raise OperatorError("--drop goes with --wave alone")
        return asyncio.run(_drop(terminal, wave))
    if forecast and dry_run:
        raise OperatorError("--forecast reads what was planned, and --dry-run keeps nothing: leave one of them out")

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="plan", writes=not dry_run) as opened:
            made = await app.plan_wave(opened, wave, kind=kind, who=who, dry_run=dry_run)
            held = await app.held_files(opened)
            ahead = await app.forecast(opened) if forecast else None
            ahead_lines = app.forecast_lines(opened, ahead) if ahead else []
        body = made.as_json()
        if ahead is not None:
            body["forecast"] = ahead.as_json()
        body["held"] = [each.as_json() for each in held]
        routes = body["by_route"]
        lines = [
            f"Wave {wave}: {body['notifications']} notifications in {len(body['segments'])} segments."
            + (f" A {made.kind}{f' to {made.who}' if made.who else ''}." if made.kind != "initial" else ""),
            f"  by e-mail {routes['email']} · by post {routes['post']} · no route {routes['none']}",
        ]
        for route, reasons in body["by_reason"].items():
            if reasons:
                told = " · ".join(f"{why.replace('_', ' ')} {count}" for why, count in sorted(reasons.items()))
                lines.append(f"    {_ROUTES[route]}: {told}")
        if body["review"]:
            lines.append(f"  {body['review']} persons are under review: `notifier people review`.")
        if body.get("undecided_adult_dependants"):
            lines.append(
                f"  {body['undecided_adult_dependants']} adult dependants have no mailbox of their own: decide "
                "[households] adult_dependants."
            )
        if body.get("formats"):
            asked = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in sorted(body["formats"].items()))
            lines.append(f"  asked to be written to in another form: {asked}")
        if body.get("to_guardians"):
            lines.append(f"  {body['to_guardians']} letters go to whoever has charge of a measure of protection")
        if body.get("supplement_due"):
            lines.append(
                f"  {body['supplement_due']} informed persons have new exposures: "
                "`notifier plan --wave NAME --kind supplement`."
            )
        for each in held:
            lines.append(f"  the file {each.sha256[:12]} is held: {each.headline()}; nobody in it is informed.")
        of_wave = "" if wave == "initial" else f" --wave {wave}"
        lines += ahead_lines
        lines.append(
            "Nothing was written (--dry-run)."
            if dry_run
            else f"Next: `notifier preview{of_wave}`, `notifier check{of_wave}`, then `notifier approve{of_wave}`."
        )
        terminal.result(body, *lines)
        return LEFT if body["review"] else 0

    return asyncio.run(work())


async def _drop(terminal: Terminal, wave: str) -> int:
    from notifier import app

    async with app.open_campaign(terminal.folder, by=terminal.by, command="plan") as opened:
        gone = await app.drop_wave(opened, wave)
    terminal.result(
        {"wave": wave, "dropped": gone},
        f"Wave {wave} is dropped: it had {gone} notifications, of which none was approved.",
    )
    return 0


@click.group("people", short_help="review what only somebody can decide")
def people() -> None:
    """Persons: the review list, look-up and withdrawal."""


people.add_command(review)
people.add_command(sample)
people.add_command(find)
people.add_command(withdraw)

COMMANDS = [plan, people]
