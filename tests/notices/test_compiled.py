"""Headers, addresses, greetings: what D4 asks of the message itself."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, message_from_string
from email.policy import default
from zoneinfo import ZoneInfo

import pytest

from notifier.errors import TemplateError
from notifier.model import Contact, PersonalFields
from notifier.notices.compiled import compile_segment
from notifier.notices.personal import Words, personal_values

AT = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)
ID = "<0123456789abcdef@mutuelle-clairval.example>"
WORDS = Words("Bonjour {name},", "Madame, Monsieur,", "vous", "quelqu'un", "et")


@pytest.fixture
def parsed(catalogue, settings, make_key, somebody):
    notice = compile_segment(make_key(), catalogue, settings)
    raw = notice.render(somebody, to="elodie@courriel.example", message_id=ID, date=AT)
    return message_from_bytes(raw, policy=default)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("From", "Mutuelle Clairval <information@mutuelle-clairval.example>"),
        ("Reply-To", "protection-donnees@mutuelle-clairval.example"),
        ("To", "Élodie Martin <elodie@courriel.example>"),
        ("Date", "Fri, 09 Feb 2024 08:00:00 +0000"),
        ("Message-ID", ID),
        ("MIME-Version", "1.0"),
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "OOF, AutoReply"),  # not "All": reports of failure must come back (DOMAIN D3)
        ("Content-Language", "fr"),
    ],
)
def test_a_header_of_d4(parsed, header, value):
    assert parsed.get_all(header) == [value]


def test_d4_the_subject_says_for_whom_it_is(parsed):
    assert "Élodie Martin" in parsed["Subject"]
    assert "Mutuelle Clairval" in parsed["Subject"]


@pytest.mark.parametrize(
    "header",
    [
        *("List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Precedence", "Importance", "X-Priority"),
        *("Disposition-Notification-To", "Return-Receipt-To", "Cc", "Bcc", "Sender", "Return-Path", "X-Mailer"),
    ],
)
def test_d4_a_header_that_is_left_out(parsed, header):
    assert parsed[header] is None


def test_i8_no_header_of_its_own_holds_anything_of_the_person(parsed):
    assert [name for name in parsed if name.lower().startswith("x-")] == ["X-Auto-Response-Suppress"]
    for name, value in parsed.items():
        if name not in {"To", "Subject"}:
            assert "martin" not in value.lower()


def test_d4_lines_are_short_and_end_in_crlf(catalogue, settings, make_key, somebody):
    raw = compile_segment(make_key(), catalogue, settings).render(
        somebody, to="elodie@courriel.example", message_id=ID, date=AT
    )
    assert raw.count(b"\r") == raw.count(b"\n") == raw.count(b"\r\n")
    assert max(map(len, raw.split(b"\r\n"))) <= 998


def test_the_same_delivery_and_attempt_give_the_same_bytes(catalogue, settings, make_key, somebody):
    """A retry differs in its Date alone (DOMAIN D4)."""
    first, again = (compile_segment(make_key(), catalogue, settings) for _ in range(2))
    raw = [
        notice.render(somebody, to="e@courriel.example", message_id=ID, date=date)
        for notice, date in ((first, AT), (again, AT), (again, AT.replace(hour=9)))
    ]
    assert raw[0] == raw[1]
    assert raw[2] == raw[0].replace(b"08:00:00 +0000", b"09:00:00 +0000")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Élodie Martin", 1),
        ("Нина Иванова", 1),  # 23 bytes: too many for one word in Q, few enough in B
        ("משה כהן", 1),
        ("A" * 119, 0),  # several words in a phrase: the address stands alone
    ],
)
def test_a_name_in_to_is_one_encoded_word_or_none(catalogue, settings, make_key, name, words):
    notice = compile_segment(make_key(), catalogue, settings)
    raw = notice.render(PersonalFields(Contact(name, ""), "R"), to="a@b.example", message_id=ID, date=AT)
    head = raw[: raw.index(b"\r\nSubject")]
    assert head.count(b"=?utf-8?") == words
    assert all(len(word) <= 75 for word in head.split())
    told = message_from_bytes(raw, policy=default)["To"].addresses[0]
    assert (told.display_name, told.addr_spec) == (name if words else "", "a@b.example")


def test_i8_feedback_id_and_boundary_hold_nothing_personal(catalogue, settings, make_key, somebody):
    notice = compile_segment(make_key(), catalogue, settings)
    other = PersonalFields(Contact("Nguyen", "Thi"), "AAAA-BBBB-CCCC")
    seen = set()
    for fields, to in ((somebody, "a@courriel.example"), (other, "b@courriel.example")):
        message = message_from_bytes(notice.render(fields, to=to, message_id=ID, date=AT), policy=default)
        seen.add((message["Feedback-ID"], message.get_boundary()))
    assert len(seen) == 1
    feedback = seen.pop()[0].split(":")
    assert feedback[:2] == ["Exemple-violation-de", "initial"]
    assert feedback[2].startswith("initial-")
    assert feedback[3:] == ["clairval"]


def test_a_name_is_printed_with_single_spaces():
    fields = PersonalFields(Contact(" Le  Goff", "Anne ", company=""), "AAAA-BBBB-CCCC", ("Zoé   Le Goff ",))
    values = personal_values(fields, WORDS)
    assert (values.name, values.display_name, values.concerned) == ("Anne Le Goff", "Anne Le Goff", ("Zoé Le Goff",))


@pytest.mark.parametrize(
    "number",
    ["286079297585866", "2 86 07 92 975 858 66", "20/07/1986", "01 02 03 04 05", "FR76 3000 6000 0112 3456 7890 189"],
)
def test_i8_a_number_that_slipped_into_a_name_is_printed_nowhere(catalogue, settings, make_key, number):
    """One column out of place in a file, and the notice would tell its reader's NIR in subject, greeting and To."""
    notice = compile_segment(make_key(form="children", audience="dependant"), catalogue, settings)
    fields = PersonalFields(Contact(number, "Dupont"), "AAAA-BBBB-CCCC", (f"Zoé {number}", "Tom Dupont"))
    message = message_from_bytes(notice.render(fields, to="a@b.example", message_id=ID, date=AT), policy=default)
    for seen in (message["To"], message["Subject"], *(part.get_content() for part in message.iter_parts())):
        assert number not in seen
    company = PersonalFields(Contact("", "", company="Pharmacie du 8 mai 1945"), "AAAA-BBBB-CCCC")
    assert personal_values(company, WORDS).name == "Pharmacie du 8 mai 1945"


def test_text_stands_before_html_and_both_say_the_language(parsed):
    plain, page = parsed.iter_parts()
    assert (plain.get_content_type(), page.get_content_type()) == ("text/plain", "text/html")
    assert {part.get_content_charset() for part in (plain, page)} == {"utf-8"}
    assert {part["Content-Transfer-Encoding"] for part in (plain, page)} == {"quoted-printable"}
    assert '<html lang="fr"' in page.get_content()


def test_an_internationalised_domain_becomes_an_a_label(catalogue, settings, make_key, somebody):
    notice = compile_segment(make_key(), catalogue, settings)
    raw = notice.render(somebody, to="jean@mutuelle-générale.example", message_id=ID, date=AT)
    assert b"<jean@xn--mutuelle-gnrale-knbb.example>" in raw


def test_only_a_local_part_beyond_ascii_stands_in_utf8(catalogue, settings, make_key, somebody):
    """DOMAIN D1: an IDN domain alone needs no SMTPUTF8."""
    notice = compile_segment(make_key(), catalogue, settings)
    raw = notice.render(somebody, to="élodie@mutuelle-générale.example", message_id=ID, date=AT)
    assert "\r\n <élodie@xn--mutuelle-gnrale-knbb.example>\r\n".encode() in raw
    assert raw.replace("élodie@".encode(), b"").isascii()
    told = message_from_string(raw.decode(), policy=default)["To"]
    assert told.addresses[0].addr_spec == "élodie@xn--mutuelle-gnrale-knbb.example"


@pytest.mark.parametrize("message_id", ["a@b", "<a>", "<a@b>\r\nBcc: c@d", "<a @b>", ""])
def test_a_malformed_message_id_is_refused(catalogue, settings, make_key, somebody, message_id):
    notice = compile_segment(make_key(), catalogue, settings)
    with pytest.raises(ValueError, match="Message-ID"):
        notice.render(somebody, to="a@courriel.example", message_id=message_id, date=AT)


def test_one_instant_in_two_time_zones_is_two_texts(catalogue, settings, make_key, somebody):
    """Aware datetimes of one instant are equal: the second must not get what was written of the first."""
    notice = compile_segment(make_key(), catalogue, settings)
    dates = [
        message_from_bytes(notice.render(somebody, to="a@courriel.example", message_id=ID, date=date))["Date"]
        for date in (AT, AT.astimezone(ZoneInfo("Europe/Paris")), AT)
    ]
    utc = "Fri, 09 Feb 2024 08:00:00 +0000"
    assert dates == [utc, "Fri, 09 Feb 2024 09:00:00 +0100", utc]


def test_a_date_without_zone_is_refused(catalogue, settings, make_key, somebody):
    notice = compile_segment(make_key(), catalogue, settings)
    with pytest.raises(ValueError, match="time zone"):
        notice.render(somebody, to="a@courriel.example", message_id=ID, date=datetime(2024, 2, 9))  # noqa: DTZ001


def test_the_list_of_names_stands_alone(edited, settings, make_key):
    catalogue = edited("templates/fr/base/children.md", "- {{ person.concerned }}", "Voici : {{ person.concerned }}")
    with pytest.raises(TemplateError, match="stands alone in a list item"):
        compile_segment(make_key("dependant", "children"), catalogue, settings)


@pytest.mark.parametrize(
    ("contact", "salutation", "name", "display"),
    [
        (Contact("Martin", "Élodie"), "Bonjour Élodie Martin,", "Élodie Martin", "Élodie Martin"),
        (Contact("O'Connor-Süß", "D'Arc"), "Bonjour D'Arc O'Connor-Süß,", "D'Arc O'Connor-Süß", "D'Arc O'Connor-Süß"),
        (Contact("Martin", ""), "Bonjour Martin,", "Martin", "Martin"),
        (Contact("", "", company="Dupont & Fils"), "Madame, Monsieur,", "Dupont & Fils", "Dupont & Fils"),
        (Contact("", ""), "Madame, Monsieur,", "vous", ""),
        (Contact("a@vol.example", "Jean"), "Madame, Monsieur,", "vous", ""),
        (Contact("Cliquez www.vol.example", "Jean"), "Madame, Monsieur,", "vous", ""),
        (Contact("Martin https://vol.example/x", "Jean"), "Madame, Monsieur,", "vous", ""),
        (Contact("<b>Martin</b>", "Jean"), "Madame, Monsieur,", "vous", ""),
        (Contact("Martin\r\nBcc: x", "Jean"), "Madame, Monsieur,", "vous", ""),
        (Contact("\u202enitraM", "Jean"), "Madame, Monsieur,", "vous", ""),
        (Contact("Mar\ue000tin", "Jean"), "Madame, Monsieur,", "vous", ""),
        (Contact("M" * 121, ""), "Madame, Monsieur,", "vous", ""),
        (Contact("St. Martin", "J.-P."), "Bonjour J.-P. St. Martin,", "J.-P. St. Martin", "J.-P. St. Martin"),
    ],
)
def test_a_name_that_is_no_name_is_greeted_neutrally(contact, salutation, name, display):
    values = personal_values(PersonalFields(contact, "R"), WORDS)
    assert (values.salutation, values.name, values.display_name) == (salutation, name, display)


def test_a_childs_name_that_is_no_name_is_still_counted():
    values = personal_values(PersonalFields(Contact("M", "E"), "R", ("Léa", "x@y.example", "Tom")), WORDS)
    assert values.concerned == ("Léa", "quelqu'un", "Tom")
    assert values.concerned_line == "Léa, quelqu'un et Tom"
