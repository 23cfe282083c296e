"""What goes over the wire is what plain dot-stuffing of the whole message makes, however the message was made of parts
(RFC 5321 4.5.2), and a message that the plain way refuses is refused (SMTP smuggling)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifier.delivery.transaction import Envelope, EnvelopeError, body
from notifier.delivery.wire import wire
from notifier.model import Contact, PersonalFields
from tests.properties.test_compiled import ID, NOTICES, names

AT = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)

pieces = st.one_of(
    st.text("\r\n.a", max_size=6).map(str.encode),
    st.lists(st.sampled_from([b"\r\n", b".", b"..", b"a", b"\r\n."]), max_size=6).map(b"".join),
)


def enveloped(message: bytes) -> Envelope:
    return Envelope("bounces+x@b.example", "a@c.example", "a@c.example", message, "aa")


def plain(message: bytes) -> bytes:
    """The rule itself, line by line."""
    lines = message[:-2].split(b"\r\n")
    return b"".join(b"." * line.startswith(b".") + line + b"\r\n" for line in lines) + b".\r\n"


def outcome(make) -> bytes | str:
    try:
        return make()
    except EnvelopeError as error:
        return str(error)


@settings(deadline=None, max_examples=300)
@given(st.lists(pieces, max_size=7), st.booleans())
@example([b".a\r\n", b".b", b"\r\n", b".\r\n"], False)
@example([b"a\r", b"\n.b\r\n"], False)  # a CR and its LF in two parts
@example([b"a\r\n", b"", b".\r\n"], False)
@example([b"", b""], False)
@example([b"a"], False)
@example([b"a\r\n.\rb\r\n"], False)
def test_the_wire_is_the_plain_dot_stuffing_of_the_joined_parts(parts: list[bytes], closed: bool) -> None:
    if closed:
        parts = [*parts, b"\r\n"]
    envelope = enveloped(b"".join(parts))
    made = outcome(lambda: wire(envelope, parts))
    assert made == outcome(lambda: body(envelope))
    assert made == outcome(lambda: wire(envelope, parts)), "the second time its fixed parts are known"
    if isinstance(made, bytes):
        assert made == plain(envelope.message)
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)", made) and made.find(b"\r\n.\r\n") in (-1, len(made) - 5)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(range(len(NOTICES))), names, names, st.lists(names, min_size=1, max_size=4))
@example(0, "Martin\r\n.\r\nMAIL FROM:<x@vol.example>", ".", ["."])
@example(2, ".", "", [". .", "..", "\r\n."])
def test_i8_a_compiled_notice_goes_out_as_its_plain_render_would(
    which: int, name: str, forename: str, concerned: list[str]
) -> None:
    notice = NOTICES[which]
    fields = PersonalFields(Contact(name, forename), "7K3D-99XA-B2QM", tuple(concerned))
    rendered = notice.render(fields, to="qui@courriel.example", message_id=ID, date=AT)
    parts = notice.parts(fields, to="qui@courriel.example", message_id=ID, date=AT)
    assert b"".join(parts) == rendered
    assert wire(enveloped(rendered), parts) == body(enveloped(rendered)) == plain(rendered)


def test_the_fixed_parts_of_a_segment_are_the_same_objects_for_everybody() -> None:
    """What the wire keeps of them is found by that; and nothing of a person is among them (I8)."""
    for notice in NOTICES:
        one, other = (
            notice.parts(PersonalFields(Contact(name, "Élodie"), "R", ("Léa",)), to=to, message_id=ID, date=AT)
            for name, to in (("Martin", "a@b.example"), ("Quelqu'un d'autre", "c@d.example"))
        )
        assert all(mine is theirs for mine, theirs in zip(one[1::2], other[1::2], strict=True))
        assert not any(b"lodie" in part or b"Martin" in part for part in one[1::2])


@pytest.mark.parametrize("parts", [[b"a\nb\r\n"], [b"x\r\n", b"a\nb\r\n"], [b"x\r\n", b"y"], []])
def test_a_message_that_could_be_read_as_two_has_no_wire(parts: list[bytes]) -> None:
    with pytest.raises(EnvelopeError):
        wire(enveloped(b"".join(parts)), parts)
