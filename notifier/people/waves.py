"""A wave is planned: persons are matched, and each is owed exactly one notification (DESIGN 7).

A round after the first concerns those whom `storage/concerned.py` finds by what was told before.

One transaction: a crash, or an error, leaves the earlier plan. Running again is safe, and changes nothing if nothing
changed. What was approved stays as it was approved, except where nobody has begun to tell the person:

- approved without a delivery (unmatched, held, unreachable), and there is a route now, or another reason why not;
- approved, not begun, and the person's exposures outgrew the text: the delivery is withdrawn, the person planned anew;
- approved, not begun, and somebody of whom it speaks was taken out since: withdrawn, and the others planned anew;
- approved, failed for good with nothing in its place, and a newer directory gives another way: planned anew.

These are journaled, and need an approval of their own. Who is being told already is owed a supplement, and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from notifier.campaign import Settings
from notifier.errors import OperatorError
from notifier.model import Audience, Entry, Route, WaveKind, parse_exposures, to_ms
from notifier.people.agencies import NOTHING_SAID, Addresses, set_aside
from notifier.people.drafts import Drafts
from notifier.people.households import Reason
from notifier.people.matching import match
from notifier.people.rounds import Selection, check_choice, decide_kind, priority, sole_initial
from notifier.people.routing import Router
from notifier.storage import concerned, contacts, journal, notifications
from notifier.storage import waves as rounds
from notifier.storage.database import Connection, Database
from notifier.storage.exposures import ExposureSets
from notifier.storage.notifications import Whom
from notifier.storage.vanished import OPERATOR
from notifier.storage.waves import PlannedSegment, RouteCount, WaveRow
from notifier.vault import Vault


@dataclass(frozen=True, slots=True)
class Plan:
    """A wave in numbers, counted from its rows. ``supplement_due``: persons who are being told, or were, and whose
    exposures grew since. ``undecided_adult_dependants``: whose route nobody decided ([households]). ``formats``: by
    the form that the member asked to be written to in (braille, large_print …), how many are to be told."""

    wave: str
    kind: str
    who: str
    segments: list[PlannedSegment]
    routes: list[RouteCount]
    supplement_due: int
    formats: Mapping[str, int] = field(default_factory=dict)

    @property
    def notifications(self) -> int:
        return sum(count.notifications for count in self.routes)

    @property
    def review(self) -> int:
        return sum(count.notifications for count in self.routes if count.is_held)

    def by_route(self, route: Route) -> int:
        """How many notifications take this route."""
        return sum(count.notifications for count in self.routes if count.route == route)

    def by_reason(self, reason: Reason) -> int:
        """How many notifications take their route for this reason."""
        return sum(count.notifications for count in self.routes if count.reason == reason)

    @property
    def reasons(self) -> dict[str, dict[str, int]]:
        """Route → why → how many; what waits for a decision is ``review``, whatever it waits for."""
        told: dict[str, dict[str, int]] = {route.value: {} for route in Route}
        for count in self.routes:
            why = told[count.route]
            why[count.reason] = why.get(count.reason, 0) + count.notifications
        return told

    @property
    def excluded(self) -> dict[str, int]:
        """Notifications of persons who are not told, by reason."""
        counts: dict[str, int] = {}
        for count in self.routes:
            if count.excluded:
                counts[count.excluded] = counts.get(count.excluded, 0) + count.notifications
        return counts

    def as_json(self) -> dict[str, Any]:
        """DESIGN 11, `plan --json`, and after its keys: what else the operator decides on."""
        return {
            "wave": self.wave,
            "notifications": self.notifications,
            "by_route": {route.value: self.by_route(route) for route in Route},
            "review": self.review,
            "segments": [
                {
                    "id": segment.id,
                    "audience": segment.audience,
                    "exposures": segment.exposures,
                    "sender": segment.sender,
                    "language": segment.language,
                    "notifications": segment.notifications,
                    "form": segment.form,
                    "profession": segment.profession,
                }
                for segment in self.segments
            ],
            "unmatched": self.by_reason(Reason.UNMATCHED),
            "excluded": self.excluded,
            "undecided_adult_dependants": self.by_reason(Reason.ADULT_DEPENDANT_UNDECIDED),
            "supplement_due": self.supplement_due,
            "formats": dict(self.formats),
            "to_guardians": self.by_reason(Reason.PROTECTION),
            "kind": self.kind,
            "who": self.who,
            "by_reason": self.reasons,
        }


async def plan(
    database: Database,
    vault: Vault,
    settings: Settings,
    *,
    wave: str,
    kind: WaveKind | None = None,
    who: Selection | None = None,
    told_in: Sequence[tuple[int, int]] | None = None,
    dry_run: bool = False,
    addresses: Addresses = NOTHING_SAID,
    now: datetime,
) -> Plan:
    """Match everybody, and plan ``wave`` for whom it concerns. Returns the plan in numbers.

    ``kind``, ``who``: None = what the wave's earlier plan said, or what its name says (people/rounds.py). ``told_in``:
    (batch, segment) of the notices that ``who.notice`` means. ``addresses``: what is said of those that many share.
    ``dry_run``: everything is computed, and nothing kept.

    Raises OperatorError for a kind or a choice that does not fit the wave; nothing was changed then.
    """
    try:
        async with database.plan() as connection:
            made = await _plan(connection, vault, settings, wave, kind, who, told_in, addresses, now)
            if dry_run:
                raise _Rehearsed(made)
    except _Rehearsed as rehearsed:
        return rehearsed.made
    return made


async def drop(database: Database, wave: str, *, by: str, now: datetime) -> int:
    """Forget a round of which nothing was approved, as if it had never been planned; how many notifications it had.
    Raises OperatorError for one that is not there, or of which something was approved."""
    async with database.write() as connection:
        row = next((row for row in await rounds.waves(connection) if row.name == wave), None)
        if row is None:
            raise OperatorError(f"there is no wave {wave}")
        if await rounds.has_batch(connection, row.id):
            raise OperatorError(f"something of wave {wave} was approved: it stays, and so does its account")
        owed = await notifications.clear_unapproved(connection, row.id)
        await rounds.drop(connection, row.id)
        facts = {"wave": wave, "kind": row.kind, "notifications": owed, "by": by}
        await journal.append(connection, [Entry(now, "wave_dropped", "", facts)])
    return owed


class _Rehearsed(Exception):
    def __init__(self, made: Plan) -> None:
        self.made = made


async def _plan(
    connection: Connection,
    vault: Vault,
    settings: Settings,
    wave: str,
    kind: WaveKind | None,
    who: Selection | None,
    told_in: Sequence[tuple[int, int]] | None,
    addresses: Addresses,
    now: datetime,
) -> Plan:
    row = await _begin(connection, settings, wave, kind, who, now)
    sets = await ExposureSets.load(connection)
    chosen = await _concern(connection, row, sets, told_in)
    freed = await notifications.withdraw_outgrown(connection, row.id, sets, to_ms(now), chosen=chosen)
    dead = await notifications.withdraw_of_the_dead(connection, row.id, to_ms(now))
    spared = OPERATOR if row.kind == WaveKind.RECTIFICATION else ""
    excluded = await notifications.withdraw_of_the_excluded(connection, row.id, to_ms(now), but=spared)
    await notifications.clear_unapproved(connection, row.id)
    await set_aside(connection, vault, settings, addresses, now=now)
    await match(connection, vault, now)
    drafts = await Drafts.begin(connection, vault, row, now)
    for sender, identity in freed:
        drafts.record_replanned(sender, identity, "exposures_widened")
    for sender, identity in dead:
        drafts.record_replanned(sender, identity, "deceased_in_directory")
    for sender, identity in excluded:
        drafts.record_replanned(sender, identity, "excluded")
    await Router(
        connection,
        vault,
        row,
        drafts,
        sets,
        today=now.astimezone(settings.zone).date(),
        language=settings.campaign.language,
        adult_dependants=settings.households.adult_dependants,
        whom=_WHOM.get(WaveKind(row.kind), Whom.CONCERNED),
    ).route_everybody()
    if chosen:
        await rounds.note_owed(connection, row.id, await concerned.owed(connection, row.id))
    made = await _counted(connection, row, await concerned.supplement_due(connection, sets))
    await rounds.prioritise(connection, {segment.id: _rank(segment) for segment in made.segments})
    await journal.append(connection, [_entry(made, row, now)])
    return made


_WHOM = {WaveKind.INITIAL: Whom.EVERYBODY, WaveKind.RECTIFICATION: Whom.WITHDRAWN}


async def _begin(
    connection: Connection, settings: Settings, wave: str, asked: WaveKind | None, who: Selection | None, now: datetime
) -> WaveRow:
    """The wave, of the kind and with the choice that its first plan, or this one, gives it."""
    every = await rounds.waves(connection)
    there = next((row for row in every if row.name == wave), None)
    kind = decide_kind(wave, asked, WaveKind(there.kind) if there else None)
    sole_initial(wave, kind, [(row.name, row.kind) for row in every if row.name != wave])
    chosen = who if who is not None else Selection.stored(there.who) if there else Selection()
    check_choice(wave, kind, chosen)
    if who is not None:
        await _must_exist(connection, settings, chosen, [row.name for row in every])
    if there and chosen.canonical() != there.who and await rounds.has_batch(connection, there.id):
        raise OperatorError(f"wave {wave} was approved for {there.who}: another choice is a wave of its own")
    return await rounds.begin_wave(connection, wave, kind, to_ms(now), who=chosen.canonical())


async def _must_exist(connection: Connection, settings: Settings, chosen: Selection, every: Sequence[str]) -> None:
    """A slip of the hand in a choice would make a round of nobody that looks done. Raises OperatorError."""
    if chosen.sender:
        settings.sender(chosen.sender)
    if chosen.incident:
        settings.incident(chosen.incident)
    if chosen.wave and chosen.wave not in every:
        raise OperatorError(f"--who wave={chosen.wave}: there is no such wave (there: {', '.join(every)})")
    if chosen.segment and not await rounds.has_segment(connection, int(chosen.segment)):
        raise OperatorError(f"--who segment={chosen.segment}: there is no such segment (`plan --json` lists them)")


async def _concern(
    connection: Connection, wave: WaveRow, sets: ExposureSets, told_in: Sequence[tuple[int, int]] | None
) -> bool:
    """Find whom the wave concerns; False: everybody, with all that is known."""
    kind, chosen = WaveKind(wave.kind), Selection.stored(wave.who)
    traits = concerned.Traits(
        segment=int(chosen.segment) if chosen.segment else None,
        incident=chosen.incident,
        audience=chosen.audience,
        sender=chosen.sender,
        wave=chosen.wave,
        told_in=told_in if chosen.notice else None,
    )
    match kind:
        case WaveKind.INITIAL:
            await concerned.prepare(connection)
        case WaveKind.SUPPLEMENT:
            await concerned.newly_exposed(connection, wave, sets)
        case WaveKind.RECTIFICATION:
            await concerned.withdrawn(connection, wave, sets)
        case WaveKind.CORRECTION | WaveKind.FOLLOW_UP:
            await concerned.told(connection, wave, sets, traits)
        case WaveKind.PRECAUTION:
            await concerned.exposed(connection, wave, sets, traits)
    return kind is not WaveKind.INITIAL


def _rank(segment: PlannedSegment) -> int:
    categories = {exposure.category for exposure in parse_exposures(",".join(segment.exposures))}
    return priority(Audience(segment.audience), categories)


async def _counted(connection: Connection, wave: WaveRow, supplement_due: int) -> Plan:
    return Plan(
        wave.name,
        wave.kind,
        wave.who,
        await rounds.planned_segments(connection, wave.id),
        await rounds.counted_routes(connection, wave.id),
        supplement_due,
        await contacts.formats(connection, wave.id),
    )


def _entry(made: Plan, wave: WaveRow, now: datetime) -> Entry:
    facts = {
        "wave": wave.name,
        "kind": wave.kind,
        "who": wave.who,
        "notifications": made.notifications,
        "by_route": {route.value: made.by_route(route) for route in Route},
        "review": made.review,
    }
    return Entry(now, "wave_planned", "", facts)
