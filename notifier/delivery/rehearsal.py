"""`send --dry-run`: render and assert everything, open no connection, change nothing.

A message that cannot be made is told by its delivery and case reference, with a code (delivery/unmade.py), and the
next one is tried: whoever asks in the afternoon learns of all of them, not of the first at night.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial

from notifier.campaign import Settings
from notifier.delivery.diversion import Diversion
from notifier.delivery.envelopes import NoticeFor, prepare
from notifier.delivery.report import Broken, SendReport, Tally
from notifier.delivery.transaction import commands
from notifier.delivery.unmade import NO_COMMAND, code_of
from notifier.dkim import Signer
from notifier.model import from_ms, to_ms
from notifier.storage import deliveries
from notifier.storage.cycle import Cycle
from notifier.vault import Vault

# A relay that offers everything: the longest commands there can be.
_OFFERS: Mapping[str, str] = {"size": "", "smtputf8": "", "8bitmime": "", "dsn": ""}


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
    """Render and assert everything that is approved and waits, due or not; change nothing. Raises what is everybody's
    fault: a text that does not compile, a wrong setting."""
    diversion = Diversion.of(settings)
    tally, after, page = Tally(), 0, 500
    tried = 0
    while limit is None or tried < limit:
        most = page if limit is None else min(page, limit - tried)
        ids = await cycle.read(partial(deliveries.approved_after, after=after, most=most, wave_id=wave_id))
        if not ids:
            break
        after = ids[-1]
        for row in await cycle.read(partial(deliveries.fetch, ids=ids)):
            tried += 1
            try:
                notice = await notice_for(row.batch_id, row.segment_id)
                ready = prepare(
                    row.at(to_ms(now)), vault, settings.sender(row.sender), notice, listed,
                    signer=signers.get(row.sender), diversion=diversion,
                )  # fmt: skip
                code = NO_COMMAND
                if ready.posting is not None:
                    commands(ready.posting, _OFFERS)
                    tally.rendered += 1
                    continue
            except Exception as error:
                if (found := code_of(error)) is None:
                    raise
                code = found
            token = row.token.hex()
            tally.failed(Broken(token, vault.reference(token), code))
    left = await cycle.read(partial(deliveries.left, wave_id=wave_id))
    due = await cycle.read(partial(deliveries.next_due, wave_id=wave_id, resend=settings.doubt.policy == "resend"))
    return tally.report(
        "rehearsed", left=left, next_due=None if due is None else max(from_ms(due), now), paused_reason=""
    )
