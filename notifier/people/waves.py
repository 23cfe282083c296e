"""A wave is planned: persons are matched, and each is owed exactly one notification (DESIGN 7).

One transaction: a crash, or an error, leaves the earlier plan. Running again is safe, and changes nothing if nothing
changed. What was approved stays as it was approved, except where nobody has begun to tell the person:

- approved without a delivery (unmatched, held, unreachable), and there is a route now, or another reason why not;
- approved, not begun, and the person's exposures outgrew the text: the delivery is withdrawn, the person planned anew.

Both are journaled, and need an approval of their own. Who is being told already is owed a supplement, and counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from notifier.campaign import Settings
from notifier.errors import OperatorError
from notifier.model import Entry, Route, WaveKind, to_ms
from notifier.people.drafts import Drafts
from notifier.people.households import Reason
from notifier.people.matching import match
from notifier.people.routing import Router
from notifier.storage import journal, notifications
from notifier.storage import waves as rounds
from notifier.storage.database import Connection, Database
from notifier.storage.exposures import ExposureSets
from notifier.storage.waves import PlannedSegment, RouteCount, WaveRow
from notifier.vault import Vault


@dataclass(frozen=True, slots=True)
class Plan:
    """A wave in numbers, counted from its rows. ``supplement_due``: persons who are being told, or were, and whose
    exposures grew since. ``undecided_adult_dependants``: whose route nobody decided ([households])."""

    wave: str
    segments: list[PlannedSegment]
    routes: list[RouteCount]
    supplement_due: int

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
        }


async def plan(
    database: Database, vault: Vault, settings: Settings, *, wave: str, kind: WaveKind, now: datetime
) -> Plan:
    """Match everybody, and plan ``wave`` for everybody. Returns the plan in numbers.

    Raises OperatorError for a wave other than the first: supplements, corrections and the like choose their persons,
    and that is not there yet.
    """
    async with database.write() as connection:
        row = await _begin(connection, wave, kind, now)
        sets = await ExposureSets.load(connection)
        freed, supplement_due = await notifications.withdraw_outgrown(connection, row.id, sets, to_ms(now))
        dead = await notifications.withdraw_of_the_dead(connection, row.id, to_ms(now))
        await notifications.clear_unapproved(connection, row.id)
        await match(connection)
        drafts = await Drafts.begin(connection, vault, row, now)
        for sender, identity in freed:
            drafts.record_replanned(sender, identity, "exposures_widened")
        for sender, identity in dead:
            drafts.record_replanned(sender, identity, "deceased_in_directory")
        await Router(
            connection,
            vault,
            row,
            drafts,
            sets,
            today=now.astimezone(settings.zone).date(),
            language=settings.campaign.language,
            adult_dependants=settings.households.adult_dependants,
        ).route_everybody()
        made = await _counted(connection, row, supplement_due)
        await journal.append(connection, [_entry(made, row, now)])
    return made


async def _begin(connection: Connection, wave: str, kind: WaveKind, now: datetime) -> WaveRow:
    others = [row.name for row in await rounds.waves(connection) if row.name != wave]
    if kind is not WaveKind.INITIAL or others:
        raise OperatorError(
            f"wave {wave!r}: a second wave, or one of kind {kind.value}, is not there yet"
            + (f" (this campaign's wave is {others[0]!r})" if others else "")
        )
    return await rounds.begin_wave(connection, wave, kind, to_ms(now))


async def _counted(connection: Connection, wave: WaveRow, supplement_due: int) -> Plan:
    return Plan(
        wave.name,
        await rounds.planned_segments(connection, wave.id),
        await rounds.counted_routes(connection, wave.id),
        supplement_due,
    )


def _entry(made: Plan, wave: WaveRow, now: datetime) -> Entry:
    facts = {
        "wave": wave.name,
        "kind": wave.kind,
        "notifications": made.notifications,
        "by_route": {route.value: made.by_route(route) for route in Route},
        "review": made.review,
    }
    return Entry(now, "wave_planned", "", facts)
