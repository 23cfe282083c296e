"""`send`, `pause`, `resume`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from notifier.cli.terminal import Line, Terminal, command, signed
from notifier.errors import OperatorError
from notifier.model import utc_text

if TYPE_CHECKING:
    from notifier.delivery.report import SendReport
    from notifier.delivery.specimens import TestReport


@command("send", short_help="send what is approved and due; running again is resuming")
@click.option("--wave", help="Only this round.")
@click.option(
    "--limit", type=click.IntRange(min=1), help="At most this many, spread over the segments and their providers."
)
@click.option("--wait", is_flag=True, help="Until nothing is left to send by mail, however long it takes.")
@click.option("--dry-run", is_flag=True, help="Render and assert everything, open no connection.")
@click.option(
    "--test-to",
    "test_to",
    metavar="ADDRESS",
    multiple=True,
    help="Send nobody's notice: one of each segment, with invented persons and marked TEST, to this address alone.",
)
@click.option("--take-over", "takes_over", is_flag=True, help="From another machine, on which no sender runs any more.")
def send(
    terminal: Terminal,
    wave: str | None,
    limit: int | None,
    wait: bool,
    dry_run: bool,
    test_to: tuple[str, ...],
    takes_over: bool,
) -> int:
    """Send the approved notices. Safe to stop and to run again at any moment: running again is resuming.

    Ctrl-C lets the transactions under way end; a second Ctrl-C is a crash, and a crash is safe.

    With --test-to nothing is sent to persons and no delivery changes: one notice of each segment of the wave (without
    --wave: of the wave initial), from the approved texts, else from the current ones. Exit 0 when the relay accepted
    all of them, 1 when not, 75 when it does not answer.
    """
    from notifier import app
    from notifier.cli.loop import run, settle
    from notifier.cli.progress import watch

    if test_to:
        if len(test_to) > 1 or limit is not None or wait or dry_run or takes_over:
            raise OperatorError("--test-to takes one address, and goes with --wave alone")
        return _test(terminal, test_to[0], wave or "initial")

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="send") as opened:
            settle()
            with watch(quiet=terminal.as_json) as on_progress:
                report = await app.send(
                    opened,
                    wave=wave,
                    limit=limit,
                    wait=wait,
                    dry_run=dry_run,
                    takes_over=takes_over,
                    on_progress=on_progress,
                    looks_around=not terminal.as_json,
                )
            ahead = await app.forecast(opened)
            ahead_lines = app.forecast_lines(opened, ahead)
        *lines, following = _lines(report)
        terminal.result({**_body(report), "forecast": ahead.as_json()}, *lines, *ahead_lines, following)
        return report.exit_code

    return run(work())


def _test(terminal: Terminal, to: str, wave: str) -> int:
    from notifier import app

    async def work() -> TestReport:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="send --test-to") as opened:
            return await app.send_test(opened, wave=wave, to=to)

    report = asyncio.run(work())
    body = {
        "wave": wave,
        "messages": report.messages,
        "approved": report.approved,
        "outcomes": report.outcomes,
        "segments": [asdict(fate) for fate in report.fates],
        "stopped": report.stopped,
    }
    lines = [
        f"segment {fate.segment}: {fate.outcome} {fate.code or ''} {fate.reply}".rstrip()
        for fate in report.fates
        if fate.outcome != "accepted"
    ]
    told = ", ".join(f"{number} {outcome.replace('_', ' ')}" for outcome, number in report.outcomes.items())
    lines.append(f"{report.messages} test messages, one of each segment of wave {wave}: {told}.")
    lines.append(
        f"Made of approved texts: {report.approved}; of texts that wait for approval: "
        f"{report.messages - report.approved}."
    )
    if report.stopped:
        lines.append(f"Not all were tried: {report.stopped}")
    after = "send" if report.approved == report.messages else "approve"
    lines.append(f"No notice went out and no delivery changed. Next: read them, then `notifier {after}`.")
    terminal.result(body, *lines)
    return report.exit_code


def _body(report: SendReport) -> dict[str, Any]:
    body = asdict(report)
    body["next_due"] = utc_text(report.next_due) if report.next_due else None
    return body


def _lines(report: SendReport) -> list[str]:
    if report.reason == "rehearsed":
        told = f"{report.rendered} notices rendered and asserted; no connection was opened, nothing was changed."
        broken = [f"cannot be made: {each.reference} (delivery {each.delivery}): {each.code}" for each in report.broken]
        if more := report.unmade - len(broken):
            broken.append(f"cannot be made: {more} more")
        return [*broken, told]
    lines = [
        f"accepted {report.accepted} · deferred {report.deferred} · refused {report.refused} · "
        f"expired {report.expired} · in doubt {report.in_doubt}"
        + (f" · set aside {report.unmade}" if report.unmade else "")
    ]
    if report.recovered:
        lines.insert(0, f"{report.recovered} deliveries of a run that was cut off are in doubt (RFC 1047).")
    if report.to_second_address or report.to_post or report.unreachable:
        lines.append(
            f"of those refused or expired: {report.to_second_address} go to a second address, {report.to_post} to the "
            f"post, {report.unreachable} have no other way"
        )
    if report.mail_log:
        lines.append(f"{report.mail_log} (docs/at-night.md).")
    left = report.left
    for count, what in (
        (left.waiting, "wait to be sent"),
        (left.resend, "are to be sent again after a doubt"),
        (left.held, "are held in doubt: `notifier doubt list`"),
        (left.unmade, "could not be made: logs/mail.log says why, `notifier requeue --state unmade` sends them"),
        (left.unapproved, "are not approved"),
        (left.letters, "letters are to be printed and posted"),
        (left.reviews, "persons are under review"),
    ):
        if count:
            lines.append(f"left: {count} {what}")
    if report.paused_reason:
        lines.append(f"PAUSED: {report.paused_reason} (`notifier resume` once it is mended)")
    elif report.next_due is None and report.waits_because:
        lines.append(f"The rest waits: {report.waits_because}.")
    elif report.next_due and report.reason == "done":
        because = f" ({report.waits_because})" if report.waits_because else ""
        lines.append(f"The next is due at {utc_text(report.next_due)}{because}: `notifier send --wait` waits for it.")
    elif report.next_due:
        lines.append("Run `notifier send` again for the rest: it goes on where this one stopped.")
    lines.append("Next: notifier status")
    return lines


@command("pause", short_help="stop claiming")
@click.option(
    "--reason", type=Line(), help="Why, for the journal and for who looks: name no person.  [default: paused by hand]"
)
@click.option("--provider", metavar="NAME", help="Only this provider's lane; everything else goes on.")
@click.option("--by", type=Line(), help="Who decides, for the journal (default: the system's user).")
def pause(terminal: Terminal, reason: str | None, provider: str | None, by: str | None) -> int:
    """Stop claiming: a running `send` ends after the transactions under way.

    With --provider: nothing more goes to this provider, over restarts, until `resume --provider NAME`; `send` goes on
    with all others and ends, exit 1, when only this one's are left.
    """
    from notifier import app

    terminal = signed(terminal, by)
    if provider is not None:
        return _pause_lane(terminal, provider, reason or "no reason given")

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="pause") as opened:
            changed = await app.pause(opened, reason or "paused by hand")
        terminal.result({"paused": True, "changed": changed}, "Paused." if changed else "It was paused already.")
        return 0

    return asyncio.run(work())


def _pause_lane(terminal: Terminal, provider: str, reason: str) -> int:
    from notifier import app

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="pause") as opened:
            changed = await app.pause_lane(opened, provider, reason)
        said = f"The lane {provider} is paused." if changed else f"The lane {provider} was paused already."
        following = f"Next: `notifier resume --provider {provider}` opens it."
        terminal.result({"provider": provider, "paused": True, "changed": changed}, f"{said} {following}")
        return 0

    return asyncio.run(work())


@command("resume", short_help="allow sending again")
@click.option("--provider", metavar="NAME", help="Open this provider's lane before its time; no pause ends.")
@click.option("--by", type=Line(), help="Who decides, for the journal (default: the system's user).")
def resume(terminal: Terminal, provider: str | None, by: str | None) -> int:
    """Allow claiming again, after a pause by hand or by an error that was ours.

    With --provider: use again a lane that the provider's replies closed, or that somebody paused (`status` names them
    and says why).
    """
    from notifier import app

    terminal = signed(terminal, by)

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="resume") as opened:
            if provider is not None:
                changed = await app.open_lane(opened, provider)
                body = {"provider": provider, "open": True, "changed": changed}
                said = f"The lane {provider} is open." if changed else f"The lane {provider} does not rest."
                terminal.result(body, f"{said} Next: `notifier send`.")
                return 0
            changed = await app.resume(opened)
        terminal.result(
            {"paused": False, "changed": changed},
            "Resumed. Next: `notifier send`." if changed else "It was not paused.",
        )
        return 0

    return asyncio.run(work())


COMMANDS = [send, pause, resume]
