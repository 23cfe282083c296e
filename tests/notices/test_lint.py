"""Each blocking rule, seen failing: the shipped texts pass, one broken thing is found and told."""

from __future__ import annotations

import re

import pytest

from notifier.campaign import DrillSection, RelayAccess, Tls
from notifier.notices.catalogue import Catalogue
from notifier.notices.inspection import colour, contrast
from notifier.notices.lint import check_settings, lint

OWN, NIR, LAYOUT = "templates/fr/base/own.md", "templates/fr/insured/nir.md", "templates/layout.html"
CONTACTS, EXPOSED = "templates/fr/parts/contacts.md", "templates/fr/parts/exposed.md"
MEASURES, HAPPENED = "templates/fr/parts/measures.md", "templates/fr/parts/happened.md"
LIMIT = "x" * 101_000


def errors(key, catalogue, settings):
    return [finding for finding in lint([key], catalogue, settings) if finding.severity == "error"]


@pytest.mark.parametrize(
    ("code", "path", "old", "new"),
    [
        # The four blocks of Art. 34(2)
        ("contact", CONTACTS, "{{ sender.dpo_address }}", "notre DPO"),
        ("contact", CONTACTS, "{{ helpline.phone }}", "notre numéro"),
        ("contact", CONTACTS, "{{ sender.postal_address }}", "notre adresse"),
        ("nature", HAPPENED, "{{ incident.what_happened }}", ""),
        ("nature", HAPPENED, "{{ incident.occurred }}", "29"),
        ("consequences", OWN, "{{ paragraph.consequence }}", "Voyez sur notre site."),
        ("advice", OWN, "{{ paragraph.actions }}", "Soyez prudent."),
        ("measures", MEASURES, "- {{ measure }}", "- Tout est fait."),
        # Whom it is about, and what must never be printed
        ("person", CONTACTS, "{{ person.reference }}", "aucune"),
        ("person", OWN, "{{ person.salutation }}", "Bonjour,"),
        ("forbidden-field", NIR, "# Risques\n", "# Risques\n{{ person.birth_date }}\n"),
        ("number", OWN, "excuses.", "excuses. 2 69 05 49 588 157 80"),
        ("number", OWN, "excuses.", "excuses. FR76 3000 6000 0112 3456 7890 189"),
        # Phishing
        ("link", OWN, "excuses.", "[excuses](mailto:a@b.example)."),
        ("link", NIR, "s'y connecter.", "s'y connecter : https://caf.fr."),
        ("remote-load", OWN, "excuses.", "excuses. https://vol.example"),
        ("remote-load", LAYOUT, "{{ body }}", '{{ body }}<img src="cid:logo" alt="">'),
        ("remote-load", LAYOUT, "line-height: 1.6;", "line-height: 1.6; background-image: url(x.png);"),
        ("form", LAYOUT, "{{ body }}", "{{ body }}<button>ok</button>"),
        # Reading
        ("parity", LAYOUT, "{{ body }}", "{{ body }}<p>Une phrase de plus.</p>"),
        ("size", OWN, "excuses.", f"excuses. {LIMIT}"),
        ("lang", LAYOUT, '<html lang="{{ language }}"', "<html"),
        ("lang", LAYOUT, '<div class="page" lang="{{ language }}"', '<div class="page" lang="en"'),
        ("contrast", LAYOUT, "background-color: #fdfdfc; color: #1d2733", "background-color: #fdfdfc; color: #aaaaaa"),
        ("contrast", LAYOUT, "#1d232a !important; color: #e8ebee", "#1d232a !important; color: #333333"),
        ("text-size", LAYOUT, "font-size: 17px", "font-size: 13px"),
        # Subject
        ("subject-sender", OWN, "{{ sender.brand }} – information", "Information"),
        ("subject-person", OWN, "pour {{ person.name }} ", ""),
        ("subject-alarm", OWN, "Objet : ", "Objet : Urgent, "),
        ("subject-alarm", OWN, "de données{%", "de données !{%"),
        ("subject-private", OWN, "sur une violation de données", "sur votre numéro de sécurité sociale"),
        ("subject-capitals", OWN, "information pour", "INFORMATION IMPORTANTE pour"),
        ("subject-length", OWN, "information pour", f"information {'longue ' * 12} pour"),
        ("subject-symbol", OWN, "information pour", "\u26a0 information pour"),
        ("template", OWN, "{{ operators }}", "{{ operator }}"),
    ],
)  # fmt: skip
def test_a_broken_rule_blocks_and_is_told(edited, settings, make_key, code, path, old, new):
    key = make_key(categories=["nir"])
    found = errors(key, edited(path, old, new), settings)
    assert code in {finding.code for finding in found}
    for finding in found:
        assert finding.where
        assert len(finding.text) > 10


def test_a_finding_in_a_source_names_its_line(edited, settings, make_key):
    found = errors(make_key(categories=["nir"]), edited(NIR, "# Risques\n", "# Risques\n{{ person.iban }}\n"), settings)
    assert f"{NIR}, line 10" in {finding.where for finding in found if finding.code == "forbidden-field"}


def test_a2_a_category_without_an_action_is_refused(edited, catalogue, settings, make_key):
    actions = catalogue.files[NIR].decode().partition("# Conseils")[2]
    found = errors(make_key(categories=["nir"]), edited(NIR, actions, "\n\nSoyez vigilant.\n"), settings)
    assert [(finding.code, finding.where) for finding in found] == [("advice", NIR)]


def test_a2_a_risk_in_three_words_is_refused(edited, catalogue, settings, make_key):
    risk = catalogue.files[NIR].decode().partition("# Risques")[2].partition("# Aujourd'hui")[0]
    found = errors(make_key(categories=["nir"]), edited(NIR, risk, "\n\nRisque de fraude.\n\n"), settings)
    assert [(finding.code, finding.where) for finding in found] == [("consequences", NIR)]


def test_a_category_that_is_told_nowhere_is_found(catalogue, settings, make_key):
    files = {path: content.decode() for path, content in catalogue.files.items()}
    files[OWN] = files[OWN].replace("{{ labels | et }}", "des données")
    files[EXPOSED] = files[EXPOSED].replace("{{ label }}", "des données")
    silent = Catalogue.of({path: text.encode() for path, text in files.items()}, settings)
    found = errors(make_key(categories=["contract"]), silent, settings)
    assert [finding.code for finding in found] == ["exposed"]


def test_another_audiences_telephone_number_is_found(edited, settings, make_key):
    catalogue = edited(CONTACTS, "{{ helpline.phone }}", "{{ helpline.phone }} ou 01 99 00 56 78")
    assert "helpline" in {finding.code for finding in errors(make_key(), catalogue, settings)}


def test_a2_measures_that_say_nothing_are_refused(catalogue, settings, make_key):
    vague = ("Toutes les mesures nécessaires ont été prises dans les meilleurs délais.", "Le nécessaire a été fait.")
    incident = settings.incident("viamedis").model_copy(update={"measures": vague, "operator_measures": ()})
    found = errors(make_key(), catalogue, settings.model_copy(update={"incidents": (incident,)}))
    assert [finding.code for finding in found] == ["measures"]
    assert found[0].where == "[[incidents]] viamedis"


def test_a_category_without_a_paragraph_blocks(catalogue, settings, make_key):
    found = errors(make_key(categories=["nir", "voice_print"]), catalogue, settings)
    assert [finding.code for finding in found] == ["category"]
    assert "voice_print" in found[0].text


def test_a_language_without_texts_is_a_warning(catalogue, settings, make_key):
    found = lint([make_key(language="pt")], catalogue, settings)
    assert "language" in {finding.code for finding in found if finding.severity == "warning"}


def test_errors_stand_first_and_each_is_told_once(edited, settings, make_key):
    keys = [make_key(categories=["nir"]), make_key(categories=["nir", "birth_date"])]
    found = lint(keys, edited(OWN, "excuses.", "excuses. https://vol.example"), settings)
    assert len(found) == len(set(found))
    assert [finding.severity for finding in found] == sorted(finding.severity for finding in found)


def test_contrast_is_the_one_of_wcag():
    black, white, grey = colour("#000"), colour("white"), colour("rgb(118, 118, 118)")
    assert black and white and grey
    assert contrast(black, white) == pytest.approx(21)
    assert contrast(grey, white) == pytest.approx(4.54, abs=0.01)


# -- settings ------------------------------------------------------------------------------------------------------


def test_the_sample_is_in_order(settings):
    assert check_settings(settings) == []


def test_a_sample_sends_to_this_machine_only(settings):
    hosts = {
        "127.0.0.1": True,
        "localhost": True,
        "::1": True,
        "127.9.9.9": True,
        "mx.example": False,
        "10.0.0.1": False,
    }
    for host, is_fine in hosts.items():
        relay = settings.relay.model_copy(update={"host": host})
        found = check_settings(settings.model_copy(update={"relay": relay}))
        assert [finding.code for finding in found] == ([] if is_fine else ["sample-relay"])


def test_what_holds_for_the_first_relay_holds_for_its_fallback(settings):
    """It may take over in the middle of a run, and `send` opens both before it begins."""

    def found(**drill) -> list[tuple[str, str]]:
        fallback = RelayAccess(host="mx.example", port=25)
        relay = settings.relay.model_copy(update={"fallback": fallback})
        return [
            (each.code, each.where) for each in check_settings(settings.model_copy(update={"relay": relay, **drill}))
        ]

    assert found() == [("blank", "relay.fallback.rate"), ("sample-relay", "relay.fallback.host")]
    assert ("drill-relay", "relay.fallback.host") in found(drill=DrillSection())


def test_a_login_that_goes_out_in_clear_is_warned_of(settings):
    def found(**access) -> list[tuple[str, str, str]]:
        fallback = RelayAccess(rate=1, allow_plaintext=True, **access)
        chosen = settings.relay.model_copy(update={"fallback": fallback})
        told = check_settings(settings.model_copy(update={"relay": chosen}))
        return [(each.code, each.where, each.severity) for each in told if each.code != "sample-relay"]

    clear = {"host": "relay.example", "tls": Tls.NONE, "username": "clairval"}
    assert found(**clear) == [("relay-login-in-clear", "relay.fallback.tls", "warning")]
    assert found(**{**clear, "host": "127.0.0.1"}) == []
    assert found(**{**clear, "username": ""}) == []
    assert found(**{**clear, "tls": Tls.STARTTLS}) == []


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("bounce_domain", "retours.exemple.example> NOTIFY=NEVER"),
        ("bounce_domain", "retours.exemple.example\r\nRCPT TO:<x@y.example>"),
        ("bounce_domain", "retours@exemple.example"),
        ("bounce_domain", "société.example"),
        ("from_address", "information@société.example"),
    ],
)
def test_a_domain_that_no_command_or_header_can_carry_blocks(settings, setting, value):
    """Message-ID and return path are made of them: it would be told at the first message, after the approval."""
    sender = settings.senders[0].model_copy(update={setting: value})
    found = check_settings(settings.model_copy(update={"senders": (sender,)}))
    assert [(finding.code, finding.severity) for finding in found] == [("address", "error")]
    assert setting in found[0].where


def test_a_real_campaign_names_every_blank(settings):
    def real(**sections):
        return settings.model_copy(
            update={
                name: getattr(settings, name).model_copy(update=values)
                for name, values in {"campaign": {"sample": False}, **sections}.items()
            }
        )

    blank = real(
        relay={"rate": None, "connections": None, "host": ""},
        key={"backed_up": False},
        households={"adult_dependants": None},
    )
    found = check_settings(blank)
    assert {finding.where for finding in found if finding.code == "blank"} == {
        "campaign.notify_by",
        "relay.host",
        "relay.connections",
        "relay.rate",
        "pace.hours",
        "pace.hotline_per_hour",
        "households.adult_dependants",
        "key.backed_up",
    }
    assert all(finding.severity == "error" for finding in found)
    invented = [finding for finding in found if finding.code == "invented-sender"]
    assert [re.sub(r" .*", "", finding.where) for finding in invented] == ["[[senders]]"]
