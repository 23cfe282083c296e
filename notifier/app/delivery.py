"""Sending, pausing, resuming."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from notifier.app.opened import App, know_wave, sealing, utc_now
from notifier.errors import OperatorError

if TYPE_CHECKING:
    from notifier.delivery.forecast import Forecast
    from notifier.delivery.report import Progress, SendReport
    from notifier.delivery.specimens import TestReport


async def send(
    app: App,
    *,
    wave: str | None,
    limit: int | None,
    wait: bool,
    dry_run: bool,
    takes_over: bool = False,
    on_progress: Callable[[Progress], None],
    looks_around: bool = False,
) -> SendReport:
    """Send what is approved and due, from the frozen texts and settings. ``takes_over``: from another machine."""
    from notifier.authorities import check_authorities
    from notifier.delivery import sender
    from notifier.delivery.seat import Seat
    from notifier.dkim import load_signers
    from notifier.notices.agreement import TAKE_BACK, verify_bound
    from notifier.notices.approval import NoticeShelf
    from notifier.storage.campaigns import paused

    await know_wave(app, wave)
    load_signers(app.settings, app.folder)  # what is wrong with a key is said before what it changes
    check_authorities(app.settings, app.folder)  # or with a certificate
    async with app.database.read() as connection:
        differing = await verify_bound(connection, app.settings, wave=wave)
        was_paused = await paused(connection) is not None
    if differing:
        raise OperatorError(
            "what was approved is what goes out, and this differs now: "
            + "; ".join(differing)
            + f". Set it back. Where it cannot be set back, take the approval of what waits back: {TAKE_BACK}; after "
            "`notifier plan` it goes out under new values once its dossier was requested anew (`notifier approve "
            "--request --out DOSSIER`) and approved"
        )
    shelf = NoticeShelf(app.database, app.settings)
    async with sealing(app), _waking(app, was_paused=was_paused, is_real=not dry_run) as told:
        report = await sender.send(
            app.database,
            app.vault,
            app.settings,
            app.folder,
            shelf,
            wave=wave,
            limit=limit,
            wait=wait,
            dry_run=dry_run,
            by=app.by,
            seat=Seat(app.host, takes_over),
            on_progress=on_progress,
            looks_around=looks_around,
        )
        told.append(report)
        return report


@asynccontextmanager
async def _waking(app: App, *, was_paused: bool, is_real: bool) -> AsyncIterator[list[SendReport]]:
    """Wake somebody up when the run in the block has paused, broken off or finished; it puts its report in."""
    from notifier.delivery.wake import of_error, of_report, wake

    told: list[SendReport] = []
    try:
        yield told
    except Exception as error:
        if is_real and (occasion := of_error(error)) is not None:
            await wake(app.database, app.settings, app.folder, occasion, utc_now())
        raise
    if is_real and (occasion := of_report(told[0], was_paused=was_paused)) is not None:
        await wake(app.database, app.settings, app.folder, occasion, utc_now())


async def forecast(app: App) -> Forecast:
    """When what is planned and has not gone out will have."""
    from notifier.delivery.outlook import look_ahead

    async with app.database.read() as connection:
        return await look_ahead(connection, app.settings, app.folder, utc_now())


def forecast_lines(app: App, made: Forecast) -> list[str]:
    """For a terminal; a drill has no day to keep."""
    from notifier.delivery.limits import Limits

    by = app.settings.campaign.notify_by if app.settings.drill is None else None
    return made.lines(by, Limits.of(app.settings))


async def send_test(app: App, *, wave: str, to: str) -> TestReport:
    """One specimen of each segment of the wave, marked as a test, to one address. No delivery changes."""
    from notifier.delivery.diversion import Diversion
    from notifier.delivery.specimens import Specimen, send_specimens
    from notifier.notices.encoding import mailbox_address
    from notifier.notices.specimens import test_specimens

    try:
        mailbox_address(to)
    except ValueError as error:
        raise OperatorError(f"--test-to: {error}: give one address, and nothing beside it") from error
    diversion = Diversion.of(app.settings)
    if diversion is not None and not diversion.admits(to):
        raise OperatorError(
            "--test-to: a drill writes to the addresses of its own list, or to its sink, to nobody else"
        )
    await know_wave(app, wave)
    made = await test_specimens(app.database, app.settings, app.folder, wave=wave)
    if not made:
        raise OperatorError(f"wave {wave} tells nobody: there is no segment to test")
    specimens = [Specimen(each.segment, each.sender, each.notice, each.fields, each.batch) for each in made]
    return await send_specimens(
        app.database,
        app.vault,
        app.settings,
        app.folder,
        specimens,
        to=to,
        wave=wave,
        by=app.by,
        clock=utc_now,
    )


async def pause(app: App, reason: str) -> bool:
    """Stop claiming. False when it was paused already."""
    from notifier.delivery import pause as pausing

    return await pausing.pause(app.database, reason=reason, by=app.by, now=utc_now())


async def resume(app: App) -> bool:
    """Allow claiming. False when it was not paused."""
    from notifier.delivery import pause as pausing

    return await pausing.resume(app.database, by=app.by, now=utc_now())


async def pause_lane(app: App, provider: str, reason: str) -> bool:
    """Take nothing more from a provider's lane. False when it was paused already."""
    from notifier.delivery import pause as pausing
    from notifier.delivery.replies import load_rules

    known = load_rules(app.folder).providers
    return await pausing.pause_lane(app.database, provider, known=known, reason=reason, by=app.by, now=utc_now())


async def open_lane(app: App, provider: str) -> bool:
    """Use a provider's lane again before its time, at its full pace. False when it does not rest and has its pace."""
    from notifier.delivery import pause as pausing

    return await pausing.open_lane(app.database, provider, by=app.by, now=utc_now())
