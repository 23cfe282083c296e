"""Headers, addresses, greetings: what D4 asks of the message itself."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

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


def test_the_headers(parsed):
    assert parsed["From"].addresses[0].display_name == "Mutuelle Clairval"
    assert parsed["From"].addresses[0].addr_spec == "information@mutuelle-clairval.example"
    assert parsed["Reply-To"] == "protection-donnees@mutuelle-clairval.example"
    assert parsed["To"].addresses[0].addr_spec == "elodie@courriel.example"
    assert parsed["Date"] == "Fri, 09 Feb 2024 08:00:00 +0000"
    assert parsed["Auto-Submitted"] == "auto-generated"
    assert parsed["X-Auto-Response-Suppress"] == "OOF, AutoReply"
    assert parsed["Content-Language"] == "fr"
    assert parsed["MIME-Version"] == "1.0"
    for absent in ("List-Unsubscribe", "Precedence", "List-Id", "Disposition-Notification-To", "Cc", "Bcc"):
        assert parsed[absent] is None


def test_i8_feedback_id_and_boundary_hold_nothing_personal(catalogue, settings, make_key, somebody):
    notice = compile_segment(make_key(), catalogue, settings)
    other = PersonalFields(Contact("Nguyen", "Thi"), "AAAA-BBBB-CCCC")
    seen = set()
    for fields, to in ((somebody, "a@courriel.example"), (other, "b@courriel.example")):
        message = message_from_bytes(notice.render(fields, to=to, message_id=ID, date=AT), policy=default)
        seen.add((message["Feedback-ID"], message.get_boundary()))
    assert len(seen) == 1
    feedback = seen.pop()[0]
    assert feedback.count(":") == 3
    assert feedback.endswith(":clairval")


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


@pytest.mark.parametrize("message_id", ["a@b", "<a>", "<a@b>\r\nBcc: c@d", "<a @b>", ""])
def test_a_malformed_message_id_is_refused(catalogue, settings, make_key, somebody, message_id):
    notice = compile_segment(make_key(), catalogue, settings)
    with pytest.raises(ValueError, match="Message-ID"):
        notice.render(somebody, to="a@courriel.example", message_id=message_id, date=AT)


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
