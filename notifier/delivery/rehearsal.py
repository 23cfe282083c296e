"""`send --dry-run`: render and assert everything, open no connection, change nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial

from notifier.campaign import Settings
from notifier.delivery.diversion import Diversion
from notifier.delivery.envelopes import NoticeFor, prepare
from notifier.delivery.report import SendReport, Tally
from notifier.dkim import Signer
from notifier.model import from_ms, to_ms
from notifier.storage import deliveries
from notifier.storage.cycle import Cycle
from notifier.vault import Vault


async def rehearse(
    cycle: Cycle,
    vault: Vault,
    settings: Settings,
    notice_for: NoticeFor,
    *,
    listed: frozenset[str],
    wave_id: int | None,
    limit: int | None,
    now: datetime,
    signers: Mapping[str, Signer],
) -> SendReport:
    """Render and assert everything that is approved and waits, due or not; change nothing."""
    diversion = Diversion.of(settings)
    tally, after, page = Tally(), 0, 500
    while limit is None or tally.rendered < limit:
        most = page if limit is None else min(page, limit - tally.rendered)
        ids = await cycle.read(partial(deliveries.approved_after, after=after, most=most, wave_id=wave_id))
        if not ids:
            break
        after = ids[-1]
        for row in await cycle.read(partial(deliveries.fetch, ids=ids)):
            notice = await notice_for(row.batch_id, row.segment_id)
            prepare(
                row.at(to_ms(now)), vault, settings.sender(row.sender), notice, listed,
                signer=signers.get(row.sender), diversion=diversion,
            )  # fmt: skip
            tally.rendered += 1
    left = await cycle.read(partial(deliveries.left, wave_id=wave_id))
    due = await cycle.read(partial(deliveries.next_due, wave_id=wave_id, resend=settings.doubt.policy == "resend"))
    return tally.report(
        "rehearsed", left=left, next_due=None if due is None else max(from_ms(due), now), paused_reason=""
    )
