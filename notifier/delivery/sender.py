"""Sending: opens what a run needs, runs it, closes it.

Stopping (SIGINT, SIGTERM, SIGHUP, a pause, a failure) means: claim nothing more, finish what is on the wire, give back
what was not begun. A second SIGINT is a crash, and a crash is safe.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from notifier.campaign import Settings
from notifier.delivery import replies
from notifier.delivery.diversion import Diversion
from notifier.delivery.envelopes import NoticeFor
from notifier.delivery.lookout import Lookout, watching
from notifier.delivery.metrics import serving
from notifier.delivery.paces import check_rates
from notifier.delivery.pause import pause, resume
from notifier.delivery.recipe import Recipe
from notifier.delivery.rehearsal import rehearse
from notifier.delivery.relay import open_fallback, open_relay
from notifier.delivery.relays import Relays
from notifier.delivery.report import MailLog, Progress, SendReport
from notifier.delivery.run import Order, Run
from notifier.delivery.seat import ANYWHERE, Seat, take_seat
from notifier.delivery.signals import stopping_signals
from notifier.delivery.space import free, must_begin
from notifier.dkim import load_signers
from notifier.errors import OperatorError
from notifier.storage import deliveries
from notifier.storage.cycle import open_cycle
from notifier.storage.database import Database
from notifier.storage.lock import sender_lock
from notifier.vault import Vault

__all__ = ["NoticeFor", "Progress", "SendReport", "pause", "resume", "send"]


def utc_now() -> datetime:
    return datetime.now(UTC)


async def send(
    database: Database,
    vault: Vault,
    settings: Settings,
    folder: Path,
    notice_for: NoticeFor,
    *,
    wave: str | None = None,
    limit: int | None = None,
    wait: bool = False,
    dry_run: bool = False,
    by: str = "",
    seat: Seat = ANYWHERE,
    clock: Callable[[], datetime] = utc_now,
    on_progress: Callable[[Progress], None] | None = None,
    looks_around: bool = False,
) -> SendReport:
    """Send approved mail until nothing is due now, or with ``wait`` until none is queued, sending, deferred or to be
    resent. ``wave``: only this one's; ``limit``: begin at most so many, spread over the segments and their providers;
    ``dry_run``: render and assert everything, open no connection, change nothing; ``seat``: from which machine;
    ``looks_around``: tell ``on_progress`` also between cycles, with rates and lanes. ``[send] metrics_port`` serves
    what there is to measure (delivery/metrics.py).

    Raises CampaignBusy (another sender), OtherHost (another machine sent last), RelayUnavailable, SettingsError (a DKIM
    key that cannot be used is one), OperatorError (no such wave), and whatever ``notice_for`` raises,
    after what was claimed has been finished or given back.
    """
    async with open_cycle(database.path) as cycle:
        wave_id = None
        if wave is not None:
            wave_id = await cycle.read(partial(deliveries.wave_id, name=wave))
            if wave_id is None:
                raise OperatorError(f"there is no wave {wave!r}: `notifier plan` makes one")
        rules = replies.load_rules(folder)
        listed = replies.listed_domains(rules)
        check_rates(settings, rules)
        signers = load_signers(settings, folder)  # a key that is no good is told before anything is begun
        if dry_run:
            return await rehearse(
                cycle,
                vault,
                settings,
                notice_for,
                listed=listed,
                wave_id=wave_id,
                limit=limit,
                now=clock(),
                signers=signers,
            )
        must_begin(free(database.path.parent), database.path.parent)
        relays = Relays(await open_relay(settings, folder), await open_fallback(settings, folder))
        async with AsyncExitStack() as stack:
            stack.enter_context(sender_lock(folder, clock()))
            await cycle.write(partial(take_seat, seat=seat, by=by, now=clock()))
            mail_log = MailLog(folder)
            stack.callback(mail_log.close)
            lookout: Lookout | None = None

            def tell(progress: Progress) -> None:
                if on_progress is not None:
                    on_progress(progress)

            def told(progress: Progress) -> None:
                tell(progress) if lookout is None else lookout.told(progress)

            run = Run(
                cycle=cycle,
                vault=vault,
                settings=settings,
                relays=relays,
                notice_for=notice_for,
                recipe=Recipe(vault, settings, listed, signers, Diversion.of(settings)),
                folder=folder,
                database=database.path,
                mail_log=mail_log,
                order=Order(wave_id, limit, wait, by),
                clock=clock,
                on_progress=None if on_progress is None else told,
            )
            stack.enter_context(stopping_signals(run.stop))
            measured = bool(settings.send.metrics_port)
            if looks_around or measured:
                lookout = Lookout(database, run.look, tell, clock, counts_states=measured)
            try:
                async with AsyncExitStack() as watched:
                    if lookout is not None and measured:
                        await watched.enter_async_context(
                            serving(settings.send, lookout, known=frozenset(rules.providers), clock=clock)
                        )
                    if lookout is not None and looks_around:
                        await watched.enter_async_context(watching(lookout))
                    report = await run.run()
                return replace(report, mail_log=mail_log.trouble)
            except BaseExceptionGroup as group:
                # One cause is one error; several at once are a bug and stay together.
                if len(group.exceptions) == 1:
                    raise group.exceptions[0] from None
                raise
            finally:
                await relays.close_kept()
