"""Whom somebody means: the case reference of a notice, or the start of a person's pseudonym.

Both follow from the keys, and are noted when a notice is approved: a reference with its delivery, a pseudonym with its
person. Until then nobody bears a reference; pseudonyms of people whom no approval named yet, and starts of fewer than
12 digits, are made anew for one person after the other (some seconds for ten million), once for a whole list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import aclosing

from notifier.errors import OperatorError
from notifier.storage import evidence, removals
from notifier.storage.database import Connection
from notifier.storage.removals import Named
from notifier.vault import Vault, number_of_reference, spelled_reference

_REFERENCE = re.compile(r"[0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){2}")
DIGITS, UNMISTAKABLE = 32, 12  # hex digits of a pseudonym; so many that no two persons share them by chance
_PSEUDONYM = re.compile(r"[0-9a-f]{8,32}")


async def persons_of(connection: Connection, vault: Vault, words: Sequence[str]) -> dict[str, list[Named]]:
    """Word → the persons it names, for all words at once; an empty list where it names nobody. A case reference names
    everybody whom its notice informs. Raises OperatorError for a word that can be neither, or a start of several
    persons' pseudonyms."""
    wanted = {word: (_as_reference(word), _as_pseudonym(word)) for word in words}
    for word, (reference, pseudonym) in wanted.items():
        if not reference and not pseudonym:
            raise OperatorError(
                f"{_shown(word)} is neither a case reference (XXXX-XXXX-XXXX) nor 8 or more hex digits of a pseudonym"
            )
    by_reference = await deliveries_of(connection, vault, {each for each, _ in wanted.values() if each})
    by_pseudonym = await _by_pseudonym(connection, vault, {each for _, each in wanted.values() if each})
    found: dict[str, list[Named]] = {}
    for word, (reference, pseudonym) in wanted.items():
        people: dict[int, Named] = {}
        if reference in by_reference:
            delivery, token = by_reference[reference]
            for linked in await evidence.chain(connection, delivery, token):
                people |= {each.person: each for each in await removals.informed_by(connection, linked)}
        named = by_pseudonym.get(pseudonym, [])
        if len(named) > 1:
            raise OperatorError(f"{len(named)} persons' pseudonyms begin with {pseudonym}: give more digits")
        found[word] = list((people | {each.person: each for each in named}).values())
    return found


async def deliveries_of(
    connection: Connection, vault: Vault, references: Iterable[str]
) -> dict[str, tuple[int, bytes]]:
    """Case reference → its delivery's (id, token), of those that a delivery has."""
    wanted = set(references)
    found: dict[str, tuple[int, bytes]] = {}
    if not wanted:
        return found
    for reference in wanted:
        for delivery, token in await evidence.with_reference(connection, number_of_reference(reference)):
            if vault.reference(token.hex()) == reference:
                found[reference] = (delivery, token)
    if len(found) == len(wanted):
        return found
    async with aclosing(evidence.unreferenced_tokens(connection)) as deliveries:
        async for delivery, token in deliveries:
            if (reference := vault.reference(token.hex())) in wanted:
                found[reference] = (delivery, token)
                if len(found) == len(wanted):
                    break
    return found


async def _by_pseudonym(connection: Connection, vault: Vault, starts: set[str]) -> dict[str, list[Named]]:
    found: dict[str, list[Named]] = {}
    for start in sorted(each for each in starts if len(each) >= UNMISTAKABLE):
        bounds = (bytes.fromhex(start.ljust(DIGITS, end)) for end in "0f")
        for each in await removals.with_pseudonym(connection, *bounds):
            if vault.pseudonym(each.sender, each.identity).startswith(start):
                found.setdefault(start, []).append(each)
    starts = starts - found.keys()
    if not starts:
        return found
    lengths = sorted({len(start) for start in starts})
    async for part in removals.everybody(connection):
        for each in part:
            pseudonym = vault.pseudonym(each.sender, each.identity)
            for length in lengths:
                if pseudonym[:length] in starts:
                    found.setdefault(pseudonym[:length], []).append(each)
    return found


def _as_reference(word: str) -> str:
    spelled = spelled_reference(word)
    return spelled if _REFERENCE.fullmatch(spelled) else ""


def _as_pseudonym(word: str) -> str:
    plain = word.strip().lower()
    return plain if _PSEUDONYM.fullmatch(plain) else ""


def _shown(word: str) -> str:
    """A word that was typed in the wrong place may be somebody's number or address (I8): only its length is told."""
    return f"a word of {len(word.strip())} characters"
