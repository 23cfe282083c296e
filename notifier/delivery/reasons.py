"""What somebody types as a reason for the journal, without those whom it is about (I8). Pure.

The journal is for ever, and a reason is typed at night, with the name of who called in mind: ``--help`` asks for none,
and what the keys can unseal of the persons concerned is taken out, as of a server's reply. Of others whom the words
name nothing is known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from notifier.delivery.replies import redacted, values
from notifier.model import Contact


def impersonal(reason: str, about: Iterable[Contact], listed: frozenset[str] = frozenset()) -> str:
    """One line of ``reason`` that holds nothing of ``about`` and nothing shaped like an address or a number of
    somebody. ``listed``: domains that may stand in it."""
    return redacted(reason, values(_everything(about), listed))


def _everything(about: Iterable[Contact]) -> Iterator[Contact]:
    """Beside what a server may echo, what only somebody can say: the name at birth, the guardian's, the street."""
    for contact in about:
        yield contact
        yield Contact(contact.birth_name, contact.guardian)
        for line in contact.postal.lines if contact.postal else ():
            yield Contact("", "", company=line)
