"""A plan's notifications and deliveries on their way into the database, a few thousand at a time.

Deliveries get their number here and their token when they are written; nothing of it is approved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from notifier.model import Entry, Form, Route, to_ms
from notifier.people import dead_ends
from notifier.people.households import Decision
from notifier.storage import dead_ends as dead_ways
from notifier.storage import journal, notifications
from notifier.storage.database import Connection
from notifier.storage.waves import SegmentRow, Segments, WaveRow
from notifier.vault import Vault

if TYPE_CHECKING:
    from notifier.storage.planned import Planned
    from notifier.storage.situations import Situations
    from notifier.storage.wards import Wards

FLUSH = 10_000

MAIL, POST = "mail", "post"
CHANNELS = {Route.EMAIL: (MAIL, "queued"), Route.POST: (POST, "to_print")}


class Drafts:
    """Collects rows; :meth:`flush` writes them in the plan's transaction."""

    def __init__(
        self,
        connection: Connection,
        vault: Vault,
        wave: WaveRow,
        segments: Segments,
        *,
        first_delivery: int,
        tokens_taken: bool,
        has_dead_ends: bool,
        now: datetime,
    ) -> None:
        self._connection = connection
        self._vault = vault
        self._wave = wave
        self._segments = segments
        self._next = first_delivery
        self._tokens_taken = tokens_taken
        self._has_dead_ends = has_dead_ends
        self._now = now
        self._now_ms = to_ms(now)
        self._notifications: list[tuple[int, int, int, str, str, str, str, int | None]] = []
        self._deliveries: list[tuple[int, tuple[str, ...], int, int, str, str, str]] = []
        self._superseded: list[int] = []
        self._planned: Planned | None = None
        self._entries: list[Entry] = []

    @classmethod
    async def begin(cls, connection: Connection, vault: Vault, wave: WaveRow, now: datetime) -> Drafts:
        """For a wave from which what was not approved is cleared."""
        return cls(
            connection,
            vault,
            wave,
            await Segments.load(connection, wave.id),
            first_delivery=await notifications.next_delivery(connection),
            # Tokens carry the wave's name: only its own older deliveries (withdrawn, refused) can bear the same.
            tokens_taken=await notifications.has_deliveries(connection, wave.id),
            has_dead_ends=await dead_ends.note(connection, vault, wave.id),
            now=now,
        )

    @property
    def is_fresh(self) -> bool:
        """Whether the wave has no delivery yet, nor was a mailbox found dead in another: no token can be taken, no
        notification approved, and every known mailbox may be tried."""
        return not self._tokens_taken and not self._has_dead_ends

    def collect_in(self, planned: Planned) -> None:
        """From now on, :meth:`flush` writes into the plan's file, and :meth:`finish` takes it over."""
        self._planned = planned

    async def write_situations(self, met: Situations) -> None:
        """Notifications and deliveries of everybody whom ``met`` put together."""
        self._next += await met.write(self._next, self._now_ms, self._tokens_of(Form.OWN))

    def write_wards(self, wards: Wards, segments: Sequence[int]) -> None:
        """Those of the children in ``wards``, whose texts have these segments."""
        assert self._planned is not None
        self._next += wards.write(
            self._planned,
            self._wave.id,
            segments,
            [(route.value, channel, state) for route, (channel, state) in CHANNELS.items()],
            self._next,
            self._now_ms,
            self._tokens_of(Form.CHILDREN),
        )

    def _tokens_of(self, form: Form) -> Callable[[str, Sequence[Sequence[str]]], list[bytes]]:
        def tokens(channel: str, told: Sequence[Sequence[str]]) -> list[bytes]:
            return self._vault.tokens(("delivery", self._wave.name, channel, form), told)

        return tokens

    @property
    def is_full(self) -> bool:
        """Whether it is time to flush."""
        return len(self._notifications) >= FLUSH

    async def segment(self, key: SegmentRow) -> int:
        """The segment's number."""
        return self._segments.numbers.get(key) or await self._segments.intern(key)

    def notify(self, person: int, segment: int, decision: Decision, delivery: int | None) -> None:
        """What one person is owed."""
        self._notifications.append(
            (
                self._wave.id,
                person,
                segment,
                decision.route,
                decision.reason,
                decision.review,
                decision.excluded,
                delivery,
            )
        )

    def deliver(
        self, route: Route, form: Form, segment: int, to: tuple[int, str], told: Iterable[tuple[str, bytes]]
    ) -> int:
        """One notice to one mailbox or letter box, ``to`` (contact, provider), for the persons ``told``: (sender,
        identity)."""
        contact, provider = to
        channel, state = CHANNELS[route]
        number = self._next
        self._next += 1
        names = sorted(f"{sender}:{identity.hex()}" for sender, identity in told)
        parts = ("delivery", self._wave.name, channel, form, *names)
        if channel == POST:
            provider = "other"
        self._deliveries.append((number, parts, segment, contact, channel, state, provider))
        return number

    def supersede(self, notification: int, sender: str, identity: bytes, reason: str) -> None:
        """A notification that was approved without a delivery, or whose delivery failed for good, gives way to a new
        one."""
        self._superseded.append(notification)
        self.record_replanned(sender, identity, reason)

    def record_replanned(self, sender: str, identity: bytes, reason: str) -> None:
        """The journal entry of a notification that was approved and is planned anew."""
        facts = {"wave": self._wave.name, "reason": reason}
        subject = self._vault.pseudonym(sender, identity)
        self._entries.append(Entry(self._now, "notification_replanned", subject, facts))

    async def flush(self) -> None:
        """Write what is collected."""
        tokens = await self._tokens()
        deliveries = [
            (number, token, self._wave.id, segment, contact, channel, state, provider, self._now_ms)
            for token, (number, _, segment, contact, channel, state, provider) in zip(
                tokens, self._deliveries, strict=True
            )
        ]
        await notifications.delete_approved(self._connection, self._superseded)
        if self._planned is not None:
            self._planned.add_one_by_one(deliveries, self._notifications)
        else:
            await notifications.insert_deliveries(self._connection, deliveries)
            await notifications.insert_notifications(self._connection, self._notifications)
        await journal.append(self._connection, self._entries)
        for rows in (self._deliveries, self._superseded, self._notifications, self._entries):
            rows.clear()

    async def finish(self) -> None:
        """Write the rest, and drop segments that nobody has any more."""
        await self.flush()
        if self._planned is not None:
            await self._planned.take_over()
        if self._has_dead_ends:
            await dead_ways.address_second(self._connection, self._wave.id)
        await self._segments.drop_unused()

    async def _tokens(self) -> list[bytes]:
        """One token per collected delivery. The same persons told the same way once more in one wave (planned anew
        after a withdrawal) get the next free number as a final part."""
        token = self._vault.token
        tokens = [token(*delivery[1]) for delivery in self._deliveries]
        if self._tokens_taken:
            taken = await notifications.taken_tokens(self._connection, tokens)
            for index, (_, parts, *_rest) in enumerate(self._deliveries):
                count = 1
                while tokens[index] in taken:
                    count += 1
                    tokens[index] = token(*parts, f"#{count}")
                    taken |= await notifications.taken_tokens(self._connection, [tokens[index]])
        return tokens
