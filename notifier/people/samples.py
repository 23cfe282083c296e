"""A random sample of matched pairs, side by side, for the data protection officer's control (DESIGN 7).

The sample is a function of its seed and of who is matched: a verdict given later is about the very pairs that were
shown, or is refused (``digest``). The verdict is journaled without values. A pair that somebody finds wrong is held at
once: its case (`wrong_match`) is decided like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any

from notifier.errors import OperatorError
from notifier.model import Contact, Entry
from notifier.people.likeness import Closeness, compare
from notifier.people.matching import WRONG_MATCH
from notifier.people.reviews import free, told_of
from notifier.storage import journal, reviews, samples
from notifier.storage.database import Connection, Database
from notifier.storage.samples import MatchedPair
from notifier.vault import Vault

MOST = 1_000  # pairs; nobody compares more by eye
SEEDS = 1 << 32


@dataclass(frozen=True, slots=True)
class Pair:
    """A matched pair, unsealed. ``reference``: the first digits of the person's pseudonym in the journal."""

    reference: str
    sender: str
    rung: str
    person: Contact
    contact: Contact

    def differing(self) -> list[str]:
        """Which values are not equal: where the eye should go first."""
        likeness = compare(self.person, self.contact)
        values = {"name": likeness.name, "forename": likeness.forename, "birth date": likeness.birth_date}
        return [word for word, closeness in values.items() if closeness in (Closeness.DIFFERS, Closeness.NEAR)]

    def lines(self) -> list[str]:
        """For the terminal."""
        differing = self.differing()
        marked = f"  ({', '.join(differing)} differ)" if differing else ""
        return [
            f"{self.reference}  [{self.sender}, rung {self.rung}]{marked}",
            f"    export     {told_of(self.person)}",
            f"    directory  {told_of(self.contact)}",
        ]


@dataclass(frozen=True, slots=True)
class Sample:
    """``matched``: how many pairs there are in all. ``digest``: of the pairs that were drawn."""

    seed: int
    matched: int
    pairs: tuple[Pair, ...]
    digest: str


async def draw(database: Database, vault: Vault, *, many: int, seed: int) -> Sample:
    """``many`` matched pairs, or all there are. The same seed draws the same pairs as long as nobody else is matched.
    Raises OperatorError when nobody is."""
    async with database.read() as connection:
        sample, _ = await _draw(connection, vault, many, seed)
    return sample


async def _draw(connection: Connection, vault: Vault, many: int, seed: int) -> tuple[Sample, Sequence[MatchedPair]]:
    matched = await samples.count(connection)
    if not matched:
        raise OperatorError("nobody is matched yet: run `notifier plan` first")
    places = Random(seed).sample(range(1, matched + 1), min(many, matched))  # noqa: S311  (repeatable, not secret)
    found = await samples.at_places(connection, places)
    pairs = tuple(
        Pair(
            vault.pseudonym(row.sender, row.identity)[:12],
            row.sender,
            row.rung,
            Contact.of(vault.unseal("person", row.identity, row.sealed)),
            Contact.of(vault.unseal("contact", row.member, row.member_sealed)),
        )
        for row in found
    )
    shown = [f"{row.identity.hex()}:{row.member.hex()}:{row.rung}" for row in found]
    return Sample(seed, matched, pairs, vault.digest("sample", *shown).hex()), found


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was journaled. ``wrong``: references of the pairs found wrong."""

    pairs: int
    wrong: tuple[str, ...]
    seed: int


async def judge(
    database: Database,
    vault: Vault,
    *,
    many: int,
    seed: int,
    wrong: Sequence[str],
    by: str,
    now: datetime,
    digest: str | None = None,
) -> Verdict:
    """Journal the verdict on a sample, and hold every pair found wrong for review. ``digest``: of the sample that was
    shown, if it is known. Raises OperatorError, and nothing was changed, for a reference that is not in the sample,
    another sample, or somebody who is being told already."""
    async with database.write() as connection:
        sample, found = await _draw(connection, vault, many, seed)
        if digest is not None and digest != sample.digest:
            raise OperatorError("who is matched has changed since the sample was drawn: draw another one")
        by_reference = dict(zip((pair.reference for pair in sample.pairs), found, strict=True))
        if unknown := sorted(set(wrong) - by_reference.keys()):
            raise OperatorError(f"{unknown[0]!r} is no pair of the sample with seed {seed}")
        for reference in sorted(set(wrong)):
            row = by_reference[reference]
            await free(connection, vault, row.person, now, f"the pair {reference} cannot be held")
            await reviews.open_anew(connection, row.person, WRONG_MATCH, [row.contact])
        facts: dict[str, Any] = {
            "n": len(sample.pairs),
            "wrong": sorted(
                vault.pseudonym(by_reference[one].sender, by_reference[one].identity) for one in set(wrong)
            ),
            "seed": seed,
            "matched": sample.matched,
            "sample": sample.digest,
            "by": by,
        }
        await journal.append(connection, [Entry(now, "sample_checked", "", facts)])
    return Verdict(len(sample.pairs), tuple(sorted(set(wrong))), seed)
