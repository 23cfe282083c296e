"""A compiled notice, parsed by the standard library, is the plain render of the same person: for any name, in both
transfer encodings."""

from __future__ import annotations

import html
import re
import shutil
from datetime import UTC, datetime
from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, default
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifier.campaign import load, shipped
from notifier.model import Audience, Contact, Exposure, Form, PersonalFields, SegmentKey, WaveKind
from notifier.notices.bodies import Base64, QuotedPrintable, encoded_body, filled
from notifier.notices.catalogue import Catalogue
from notifier.notices.compiled import CompiledNotice, compile_segment
from notifier.notices.encoding import encoded_words, quoted_printable, quoted_value
from notifier.notices.personal import MARKERS, Marker, personal_values
from tests.notices.small import ARABIC, FRENCH, GREEK, key_of, small_catalogue

AT = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)
HEADERS = sorted(
    [
        *("To", "Subject", "Date", "Message-ID", "From", "Reply-To", "MIME-Version", "Content-Language"),
        *("Content-Type", "Auto-Submitted", "X-Auto-Response-Suppress", "Feedback-ID"),
    ]
)
ID = "<0123456789abcdef@mutuelle-clairval.example>"

# What exports hold and what they should not: names, and every trick with them.
ALPHABET = "aeélnrtüßŒçÀ' -.&;=_\"?<>@\r\n\t\0,:()[]{}`*#/\\%+\u00a0\u202e\u200b\U0001f600\U0001f469\ue000\ue003漢ñ"
names = st.one_of(
    st.text(ALPHABET, max_size=40),
    st.text(max_size=30),
    st.sampled_from(
        [
            "Élodie",
            "D'Hœrdt-Süß",
            "O'Connor & Fils",
            '"Bob" =?utf-8?q?x?=',
            "..",
            ". ",
            "=20=",
            "A" * 119,
            "É" * 119,
            "\U0001f600" * 60,
            "<b>x</b>",
            "a@b.example",
            "www.vol.example",
            "Martin\r\nBcc: tous@vol.example",
            "\u202enitraM",
            "&amp;",
            "=_body_=",
            " ",
            "محمد بن عبد الله الشريف",
            "שרה כהן-לוי",
            "עברית" * 20,
            "👩‍👩‍👧‍👦 Zoé",
            "漢" * 100,
            "Nguyễn Thị Minh Khai",
            "Wolfeschlegelsteinhausenbergerdorff " * 3,
        ]
    ),
)


def _notices() -> list[CompiledNotice]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(shipped("data") / "campaign" / "sample.toml", folder / "campaign.toml")
        sample = load(folder, environment={})
        catalogue = Catalogue.load(folder, sample)
    keys = [
        ("insured", Form.OWN, ("nir", "civil_status")),
        ("dependant", Form.CHILDREN, ("nir", "civil_status")),
        ("professional", Form.ESTABLISHMENTS, ("rib", "portal_login")),
    ]
    shipped_ones = [
        compile_segment(
            SegmentKey(
                wave="initial",
                wave_kind=WaveKind.INITIAL,
                sender="clairval",
                audience=Audience(audience),
                profession="",
                form=form,
                exposures=frozenset(Exposure("viamedis", kind) for kind in kinds),
                language="fr",
            ),
            catalogue,
            sample,
        )
        for audience, form, kinds in keys
    ]
    return [*shipped_ones, *_other_scripts()]


def _other_scripts() -> list[CompiledNotice]:
    """Texts of the tests' own, whose bodies are shorter in base64, or each in another encoding."""
    made = []
    for language, form, times in ((ARABIC, Form.OWN, 6), (ARABIC, Form.CHILDREN, 7), (GREEK, Form.OWN, 1)):
        with TemporaryDirectory() as name:
            catalogue, sample = small_catalogue(Path(name), *language, times=times)
            made.append(compile_segment(key_of(form, language[0]), catalogue, sample))
    return made


NOTICES = _notices()


def plain(notice: CompiledNotice, fields: PersonalFields, to: str) -> tuple[str, Address, EmailMessage]:
    """Subject, recipient and bodies by plain replacement; the standard library alone encodes the bodies. (Not the
    subject: given "=?x", it would take it for an encoded word and lose it.)"""
    values = personal_values(fields, notice._words)
    replaced = {
        Marker.SALUTATION: values.salutation,
        Marker.NAME: values.name,
        Marker.REFERENCE: values.reference,
        Marker.CONCERNED_LINE: values.concerned_line,
    }
    subject, text, page = notice.composition.subject, notice.page.text, notice.page.html
    text = re.sub(f"- {Marker.CONCERNED}", lambda _: "\n".join(f"- {name}" for name in values.concerned) or "- ", text)
    page = re.sub(
        f"(<li[^>]*>){Marker.CONCERNED}</li>",
        lambda match: "\n".join(f"{match[1]}{html.escape(name)}</li>" for name in values.concerned or ("",)),
        page,
    )
    for marker, value in replaced.items():
        subject, text = subject.replace(marker, value), text.replace(marker, value)
        page = page.replace(marker, html.escape(value))
    message = EmailMessage(policy=SMTP)
    message.set_content(text)
    message.add_alternative(page, subtype="html")
    return subject, Address(values.display_name, addr_spec=to), message


def lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").split("\n")


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(range(len(NOTICES))), names, names, names, st.lists(names, min_size=1, max_size=4))
@example(0, "Martin\r\nBcc: tous@vol.example", "Élodie", "", ["x"])
@example(1, "Martin", "Élodie", "", ["Léa & Tom", "=_3_=", "É" * 100, "a@b.example"])
@example(2, "", "", "Pharmacie du Centre & Cie", [". .", "A" * 119])
@example(3, "محمد بن عبد الله الشريف", "", "", ["x"])
@example(4, "O'Connor & Fils", "É" * 100, "", ["א", "漢" * 100, "=_body_="])
@example(5, "", "", "", ["x"])
def test_i8_compiled_bytes_are_the_plain_render_of_the_same_person(
    which: int, name: str, forename: str, company: str, concerned: list[str]
) -> None:
    notice = NOTICES[which]
    fields = PersonalFields(Contact(name, forename, company=company), "7K3D-99XA-B2QM", tuple(concerned))
    rendered = notice.render(fields, to="qui@courriel.example", message_id=ID, date=AT)

    # On the wire: CRLF only, ASCII, short lines, no marker or slot left.
    assert rendered.isascii()
    assert b"\n" not in rendered.replace(b"\r\n", b"")
    assert b"\r" not in rendered.replace(b"\r\n", b"")
    assert max(len(line) for line in rendered.split(b"\r\n")) <= 76
    assert b"=_body_=" not in rendered

    parsed = message_from_bytes(rendered, policy=default)
    assert isinstance(parsed, EmailMessage)
    subject, recipient, expected = plain(notice, fields, "qui@courriel.example")
    assert not parsed.defects
    assert sorted(parsed.keys()) == HEADERS
    assert parsed["Subject"] == subject
    [told] = parsed["To"].addresses
    assert told.addr_spec == recipient.addr_spec
    assert told.display_name == recipient.display_name or (
        not told.display_name and len(recipient.display_name.encode()) > 39  # more than one encoded word
    )
    assert parsed["Message-ID"] == ID
    assert [part.get_content_type() for part in parsed.iter_parts()] == ["text/plain", "text/html"]
    for kind in ("plain", "html"):
        ours, theirs = parsed.get_body((kind,)), expected.get_body((kind,))
        assert ours is not None and theirs is not None
        assert not ours.defects
        assert lines(ours.get_content()) == lines(theirs.get_content())
        assert not set(ours.get_content()) & set(MARKERS)
    assert not set(parsed["Subject"]) & set(MARKERS)
    reading = notice.read(fields)
    assert reading.subject == parsed["Subject"]


def test_both_encodings_are_in_the_property_above() -> None:
    told = set()
    for notice in NOTICES:
        fields = PersonalFields(Contact("Martin", "Élodie"), "7K3D-99XA-B2QM", ("Léa",))
        rendered = notice.render(fields, to="qui@courriel.example", message_id=ID, date=AT)
        parts = message_from_bytes(rendered, policy=default).iter_parts()
        told.add(tuple(str(part["Content-Transfer-Encoding"]) for part in parts))
    assert {("quoted-printable", "quoted-printable"), ("base64", "base64")} <= told


@given(st.lists(st.text("aé漢 \n=", max_size=90), min_size=1, max_size=5), st.data())
def test_either_encoding_gives_the_text_back_and_the_shorter_is_taken(pieces: list[str], data: st.DataObject) -> None:
    import base64
    import quopri

    values = [data.draw(st.text("aé漢 =.", max_size=120)) for _ in pieces[1:]]
    whole = pieces[0] + "".join(value + piece for value, piece in zip(values, pieces[1:], strict=True))
    quoted, packed = QuotedPrintable(pieces), Base64(pieces)
    assert quopri.decodestring(filled(quoted, values)).decode() == whole.replace("\n", "\r\n")
    assert base64.b64decode(filled(packed, values)).decode() == whole.replace("\n", "\r\n")
    for body in (quoted, packed):
        assert all(len(line) <= 76 for line in filled(body, values).split(b"\r\n"))
    chosen = encoded_body(pieces)
    assert chosen.fixed_size == min(quoted.fixed_size, packed.fixed_size)
    assert chosen.name == encoded_body(list(pieces)).name


def test_french_is_quoted_and_arabic_is_packed() -> None:
    assert encoded_body([FRENCH[2] * 5]).name == "quoted-printable"
    assert encoded_body([ARABIC[2] * 5]).name == "base64"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_quoted_printable_values_decode_and_keep_to_their_lines(value: str) -> None:
    import quopri

    for encoded in (quoted_value(value.replace("\n", "")), quoted_printable(value.replace("\r", ""))):
        assert all(len(line) <= 75 or line.endswith(b"=") for line in encoded.split(b"\r\n"))
        assert all(len(line) <= 76 for line in encoded.split(b"\r\n"))
    assert quopri.decodestring(quoted_value(value)).decode() == value


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200))
def test_encoded_words_are_short_and_decode(value: str) -> None:
    from email.header import decode_header

    encoded = encoded_words(value).decode()
    assert all(len(word) <= 75 for word in encoded.split("\r\n "))
    decoded = "".join(
        part.decode(charset or "ascii") if isinstance(part, bytes) else part for part, charset in decode_header(encoded)
    )
    assert decoded == value


def test_the_same_person_gives_the_same_bytes() -> None:
    fields = PersonalFields(Contact("Martin", "Élodie"), "7K3D-99XA-B2QM", ("Léa",))
    for first, second in zip(NOTICES, _notices(), strict=True):
        assert first is not second
        one = first.render(fields, to="qui@courriel.example", message_id=ID, date=AT)
        assert one == second.render(fields, to="qui@courriel.example", message_id=ID, date=AT)


@pytest.mark.parametrize(
    "to",
    [
        *("a@b\r\nBcc: c@d", "a b@c.example", "a@b@c", "<a@b>", "a", ""),
        *("é é@courriel.example", "é\r\n@b.example", "é\u202e@b.example", "é\u00a0@b.example", "é>@b.example", "é@"),
    ],
)
def test_what_is_no_mailbox_is_refused_and_not_named(to: str) -> None:
    fields = PersonalFields(Contact("Martin", "Élodie"), "7K3D-99XA-B2QM")
    with pytest.raises(ValueError, match="mailbox") as caught:
        NOTICES[0].render(fields, to=to, message_id=ID, date=AT)
    assert len(to) < 3 or to not in str(caught.value)
