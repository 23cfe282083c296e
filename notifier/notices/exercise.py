"""The mark of a rehearsal: in the subject, in the first and in the last line of both bodies (ANSSI). Pure.

It is not in the templates: a text that an officer edits, or one copied from a campaign, cannot leave it out. Whether it
is there is asserted again for each message, from its bytes, right before it is sent (delivery/diversion.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from notifier.model import DRILL_MARK
from notifier.notices.facts import Markdown

_SUBJECT = f"{DRILL_MARK} – "
_OTHER = "en"
FIRST: Mapping[str, str] = {
    "fr": "ceci est une répétition. Les personnes citées sont inventées, personne n'est concerné, rien n'est à faire.",
    "en": "this is a drill. Nobody is concerned, the persons named are invented. There is nothing to do.",
}
LAST: Mapping[str, str] = {
    "fr": "fin du message de répétition.",
    "en": "end of the drill's message.",
}


def mark_subject(subject: str) -> str:
    """``subject`` of a drill."""
    return f"{_SUBJECT}{subject}"


def unmarked(subject: str) -> str:
    """A subject as it would be in a real campaign."""
    return subject.removeprefix(_SUBJECT)


def mark_body(body: str, language: str) -> Markdown:
    """Markdown of a drill, marked in its first and in its last line."""
    first, last = (words.get(language, words[_OTHER]) for words in (FIRST, LAST))
    return Markdown(f"**{DRILL_MARK} – {first}**\n\n{body.strip()}\n\n**{DRILL_MARK} – {last}**\n")
