"""`recover`: going on after the database was restored from a backup."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from notifier.app.opened import App, look_at_head, session, utc_now
from notifier.errors import OperatorError

if TYPE_CHECKING:
    from notifier.journal.head import Head
    from notifier.journal.heads import Look
    from notifier.storage.cycle import Cycle

_LONGEST_LINE = 100_000  # characters; what follows of such a line is none of ours


@dataclass(frozen=True, slots=True)
class Restored:
    """What is known before anything is changed. ``until``: the last entry that the database holds; ``waiting``: how
    many deliveries would be held; ``was_recovered``: it was restored before, and that was admitted."""

    seen: Look
    until: datetime | None
    waiting: int
    was_recovered: bool

    @property
    def witness(self) -> Head | None:
        """The head that knows of what is lost; None: there is none, or it came back with the backup."""
        return self.seen.known if self.seen.behind else None

    @property
    def lost(self) -> int | None:
        """How many entries are lost, at least; None: no head says so."""
        known = self.witness
        return None if known is None else max(0, known.size - self.seen.database.size)

    @property
    def approvals_lost(self) -> int | None:
        """How many approvals are lost, of which this database knows nothing; None: no head says so."""
        known = self.witness
        return None if known is None else max(0, known.batches - self.seen.database.batches)

    @property
    def attempts_lost(self) -> int | None:
        """How many attempts were recorded since; None: no head says so. What was in flight comes on top."""
        known = self.witness
        return None if known is None else max(0, known.attempts - self.seen.database.attempts)


async def look_at_restored(app: App) -> Restored:
    """What `recover` would do. Seals first what the backup holds unsealed: it lay so in what was lost, too."""
    from notifier.delivery.restoration import count
    from notifier.journal.sealer import seal as seal_entries
    from notifier.storage.cycle import open_cycle
    from notifier.storage.journal import holds_kind, last_at

    await seal_entries(app.database, app.vault, reason="recover", now=utc_now())
    seen = await look_at_head(app)
    async with app.database.read() as connection:
        until = await last_at(connection)
        before = await holds_kind(connection, "recovered_from_backup")
    async with open_cycle(app.database.path) as cycle:
        return Restored(seen, until, await cycle.read(count), before)


async def recover(app: App, found: Restored, mail_log: Path | None = None) -> Recovered:
    """Admit it in the journal, hold what may have gone out, and begin a new head. ``mail_log``: one that outlived the
    database, and is believed. Raises CampaignBusy while a sender runs."""
    from notifier.delivery.restoration import begin, count_held, hold_slice
    from notifier.journal import heads
    from notifier.storage.cycle import open_cycle
    from notifier.storage.journal import facts_of
    from notifier.storage.lock import sender_lock

    logged = _read(mail_log) if mail_log is not None else None
    known = found.witness
    subject = known.root if known is not None else ""
    with sender_lock(app.folder, utc_now()):
        async with (
            session(app, "recover", has_head=True, keeps_head=False),
            open_cycle(app.database.path) as cycle,
        ):
            async with app.database.read() as connection:
                admitted = subject and await facts_of(connection, "recovered_from_backup", subject)
            work = partial(
                begin,
                vault=app.vault,
                facts={**_facts(app, found), "mail_log": logged.sha256 if logged else ""},
                subject=subject,
                is_new=not admitted,
                least_epoch=known.last_sender if known is not None else 0,
                pause_words=_pause_words(found),
                by=app.by,
                now=utc_now(),
            )
            epoch = await cycle.write(work)
            while await cycle.write(partial(hold_slice, epoch=epoch, now=utc_now())):
                pass
            taken = await _take(app, cycle, logged) if logged else 0
            held = await cycle.read(count_held)
        try:
            await heads.keep(app.database, app.vault.campaign_id, app.head, anew=True)
        except OSError as error:
            raise OperatorError(
                f"what may have gone out is held; but no new head can be kept at {app.head} ({error.strerror}), and "
                "the old one still stops every command: make room or let this user write there, then `notifier "
                "recover` again"
            ) from error
    return Recovered(held, taken)


async def believe(app: App, mail_log: Path) -> Recovered:
    """Take as accepted what a mail log lists so, in a campaign that was recovered before the log was found: nothing is
    held or lost anew. Raises CampaignBusy while a sender runs."""
    from notifier.delivery.restoration import count_held
    from notifier.storage.cycle import open_cycle
    from notifier.storage.lock import sender_lock

    logged = _read(mail_log)
    with sender_lock(app.folder, utc_now()):
        async with session(app, "recover", has_head=True), open_cycle(app.database.path) as cycle:
            taken = await _take(app, cycle, logged)
            return Recovered(await cycle.read(count_held), taken)


async def _take(app: App, cycle: Cycle, logged: _Logged) -> int:
    from notifier.delivery.evidence import accepted
    from notifier.delivery.restoration import SLICE, Word, accept_slice

    taken, lines = 0, accepted(logged.lines())
    word, observe = Word(app.by, logged.sha256), timedelta(days=app.settings.campaign.observe_days)
    while part := list(islice(lines, SLICE)):
        taken += await cycle.write(partial(accept_slice, lines=part, word=word, observe=observe, now=utc_now()))
    return taken


@dataclass(frozen=True, slots=True)
class Recovered:
    """``held``: in doubt now, and waiting for a decision; ``accepted``: because the mail log says so."""

    held: int
    accepted: int


@dataclass(frozen=True, slots=True)
class _Logged:
    """A mail log. Millions of lines: they are read one by one."""

    path: Path
    sha256: str

    def lines(self) -> Iterator[str]:
        with self.path.open(encoding="utf-8", errors="replace", newline="\n") as file:
            while line := file.readline(_LONGEST_LINE):
                yield line


def _read(path: Path) -> _Logged:
    try:
        if not path.is_file():
            raise OperatorError(f"{path} is no file; nothing was changed")
        with path.open("rb") as file:
            return _Logged(path, hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        raise OperatorError(f"{path} cannot be read: {error.strerror}; nothing was changed") from error


def _facts(app: App, found: Restored) -> dict[str, object]:
    from notifier.model import utc_text

    known, there = found.witness, found.seen.database
    return {
        "by": app.by,
        "head_known": known is not None,
        "head_size": known.size if known is not None else 0,
        "head_root": known.root if known is not None else "",
        "head_epoch": known.epoch if known is not None else 0,
        "database_size": there.size,
        "database_root": there.root,
        "database_epoch": there.epoch,
        "until": utc_text(found.until) if found.until is not None else "",
        "lost": found.lost or 0,
        "approvals_lost": found.approvals_lost or 0,
        "attempts_lost": found.attempts_lost or 0,
        "held": found.waiting,
    }


def _pause_words(found: Restored) -> str:
    """Where an approval may have been lost, what is approved next would be told twice: somebody has to think first."""
    if found.approvals_lost == 0:
        return ""
    if found.approvals_lost is None:
        return (
            "restored from a backup without a head: what was approved after it is not known here, and approving it "
            "again may tell persons twice"
        )
    return (
        f"restored from a backup: {found.approvals_lost} approvals are lost, and what they let out is not known here; "
        "approving it again may tell persons twice"
    )
