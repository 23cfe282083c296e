"""Plans, reviews, samples, look-ups, withdrawals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from notifier.app.opened import App, know_wave, utc_now

if TYPE_CHECKING:
    from notifier.people.exclusions import Ground, Withdrawn
    from notifier.people.lookups import Answer as LookUp
    from notifier.people.review_lists import Brought
    from notifier.people.reviews import Decided, ReviewCase
    from notifier.people.samples import Sample, Verdict
    from notifier.people.waves import Plan


async def plan_wave(
    app: App, wave: str, *, kind: str | None = None, who: Sequence[str] = (), dry_run: bool = False
) -> Plan:
    """Match, households, segments, notifications. ``kind``, ``who``: as on the command line; ``dry_run``: nothing is
    kept. Raises OperatorError for a kind or a choice that does not fit."""
    from notifier.intake import mailboxes
    from notifier.notices.usage import told_by
    from notifier.people.agencies import Addresses
    from notifier.people.rounds import Selection, kind_of
    from notifier.people.waves import plan
    from notifier.storage.waves import waves

    asked = kind_of(kind) if kind is not None else None
    chosen = Selection.of(who) if who else None
    notice = chosen.notice if chosen else ""
    if chosen is None:
        async with app.database.read() as connection:
            notice = next((Selection.stored(row.who).notice for row in await waves(connection) if row.name == wave), "")
    told_in = await told_by(app.database, notice) if notice else None
    rules = mailboxes.rules(app.folder)
    return await plan(
        app.database, app.vault, app.settings, wave=wave, kind=asked, who=chosen, told_in=told_in, dry_run=dry_run,
        addresses=Addresses(rules.addresses, rules.fine), now=utc_now(),
    )  # fmt: skip


async def drop_wave(app: App, wave: str) -> int:
    """Forget a round of which nothing was approved; how many notifications it had. Raises OperatorError."""
    from notifier.people.waves import drop

    return await drop(app.database, wave, by=app.by, now=utc_now())


async def list_reviews(
    app: App, *, reason: str = "", limit: int | None = None, decided: bool = False
) -> tuple[list[ReviewCase], dict[str, int]]:
    """The open cases (or the decided ones), with values for the operator's terminal; and how many there are of each
    reason."""
    from notifier.people.reviews import open_reviews
    from notifier.storage import reviews

    async with app.database.read() as connection:
        counted = await reviews.counts(connection, reviews.DECIDED if decided else reviews.OPEN)
    return await open_reviews(app.database, app.vault, reason=reason, limit=limit, decided=decided), counted


async def decide_review(app: App, case_id: int, decision: str, *, revise: bool = False, why: str = "") -> Decided:
    """Decide one case, by name, or decide it anew. Raises OperatorError; nothing was changed then."""
    from notifier.people.reviews import decide

    return await decide(app.database, app.vault, case_id, decision, by=app.by, now=utc_now(), revise=revise, why=why)


async def write_review_list(app: App, out: Path, *, reason: str, limit: int | None, decided: bool) -> int:
    """The review list with its values, as a registered clear file. Returns how many cases."""
    from notifier.people.review_lists import write_list

    return await write_list(
        app.database, app.vault, app.folder, out, reason=reason, limit=limit, decided=decided, by=app.by, now=utc_now()
    )


async def look_at_review_list(app: App, path: Path) -> Brought:
    """What `bring_review_list` would decide. Raises OperatorError with the lines that cannot be applied."""
    from notifier.people.review_lists import look, read_list

    return await look(app.database, app.vault, read_list(path))


async def bring_review_list(app: App, path: Path) -> Brought:
    """Apply the decisions of a list: all, or (OperatorError) none."""
    from notifier.people.review_lists import bring, read_list

    return await bring(app.database, app.vault, read_list(path), by=app.by, now=utc_now())


async def draw_sample(app: App, many: int, seed: int) -> Sample:
    """Random matched pairs, side by side."""
    from notifier.people.samples import draw

    return await draw(app.database, app.vault, many=many, seed=seed)


async def judge_sample(app: App, many: int, seed: int, wrong: Sequence[str], *, digest: str | None = None) -> Verdict:
    """Journal the verdict on a sample; what is wrong is held for review. Raises OperatorError; nothing was changed."""
    from notifier.people.samples import judge

    return await judge(
        app.database, app.vault, many=many, seed=seed, wrong=wrong, by=app.by, now=utc_now(), digest=digest
    )


async def find_reference(app: App, reference: str) -> LookUp:
    """Whom the notice with this case reference informs. Journaled."""
    from notifier.campaign import categories
    from notifier.people.lookups import find_reference as find

    known = categories(app.folder)
    return await find(app.database, app.vault, known, reference, by=app.by, now=utc_now())


async def find_identity(app: App, way: str, typed: Mapping[str, str]) -> LookUp:
    """Whom what was typed fits, in the eyes of each sender. Journaled; the values are not kept."""
    from notifier.campaign import categories
    from notifier.enquiries import read
    from notifier.people.lookups import find_identity as find

    now = utc_now()
    said = read(way, typed, app.folder, now.astimezone(app.settings.zone).date())
    return await find(app.database, app.vault, app.settings, categories(app.folder), said, by=app.by, now=now)


async def withdraw_persons(app: App, references: Sequence[str], ground: Ground) -> Withdrawn:
    """Take persons out, by reason and author. Raises OperatorError; nothing was changed then."""
    from notifier.people.exclusions import withdraw

    return await withdraw(app.database, app.vault, references, ground, by=app.by, now=utc_now())


async def reinstate_persons(app: App, references: Sequence[str], why: str) -> Withdrawn:
    """Take persons in again. Raises OperatorError; nothing was changed then."""
    from notifier.people.exclusions import reinstate

    return await reinstate(app.database, app.vault, references, why=why, by=app.by, now=utc_now())


async def write_hotline(app: App, out: Path, wave: str | None) -> int:
    """The case references of all that went out, as CSV. Returns how many."""
    from notifier.people.lookups import write_hotline as write

    await know_wave(app, wave)
    return await write(app.database, app.vault, app.settings, out, wave=wave, by=app.by, now=utc_now())
