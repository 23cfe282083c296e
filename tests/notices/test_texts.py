"""The French texts: each cell of the matrix says what DOMAIN A7 asks, in both bodies."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from notifier.campaign import NotExposed, Settings
from notifier.errors import TemplateError
from notifier.model import Audience, Form, PersonalFields, SegmentKey, WaveKind
from notifier.notices.catalogue import Catalogue
from notifier.notices.compiled import compile_segment
from notifier.notices.compose import compose


def read(key: SegmentKey, catalogue: Catalogue, settings: Settings, somebody: PersonalFields) -> str:
    """The plain text, on one line, no-break spaces as spaces."""
    return " ".join(compile_segment(key, catalogue, settings).read(somebody).text.split())


def test_every_cell_begins_with_the_essential(cells, catalogue, settings, somebody):
    for key in cells[::3]:
        text = read(key, catalogue, settings, somebody)
        essential = text[text.index("L'essentiel") : text.index("Ce qui s'est passé")]
        assert "Qui vous écrit : Mutuelle Clairval" in essential
        assert "À faire aujourd'hui : " in essential
        assert "tapez vous-même mutuelle-clairval.example/incident" in essential
        assert "excuses" in text[-200:]
        assert somebody.reference in text


def test_two_incidents_are_both_told_and_shared_facts_once(catalogue, settings, make_key, somebody):
    text = read(make_key(incidents=("viamedis", "almerys")), catalogue, settings, somebody)
    assert "Le 29 janvier 2024, Viamedis a été victime" in text
    assert "Le 2 février 2024, Almerys a été victime" in text
    assert "Chez Viamedis, les données suivantes" in text
    assert "Chez Almerys, les données suivantes" in text
    assert text.count("Nous surveillons les demandes inhabituelles") == 1
    assert text.count("Almerys a déposé plainte") == 1


def test_an_incident_tells_only_its_own_categories(catalogue, settings, make_key, somebody):
    nir, contract = make_key(categories=["nir"]), make_key(categories=["contract"], incidents=["almerys"])
    text = read(replace(nir, exposures=nir.exposures | contract.exposures), catalogue, settings, somebody)
    viamedis = text[text.index("Chez Viamedis, les") : text.index("Chez Almerys, les")]
    assert "numéro de sécurité sociale" in viamedis
    assert "référence de votre contrat" not in viamedis


def test_what_was_not_exposed_keeps_source_date_and_mood(catalogue, settings, make_key, somebody):
    text = read(make_key(), catalogue, settings, somebody)
    assert "Selon Viamedis, à la date du 1er février 2024, les données suivantes ne seraient pas concernées" in text
    affirmed = NotExposed(what="Vos soins.", source="CNIL", dated=date(2024, 3, 5), mood="affirmed")
    incident = settings.incident("viamedis").model_copy(update={"not_exposed": (affirmed,)})
    firm = settings.model_copy(update={"incidents": (incident,)})
    text = read(make_key(), catalogue, firm, somebody)
    assert "Selon CNIL, à la date du 5 mars 2024, les données suivantes ne sont pas concernées : vos soins." in text


def test_a_pharmacist_is_told_mailbox_then_portal_then_bank(catalogue, settings, make_key, somebody):
    text = read(make_key("professional"), catalogue, settings, somebody)
    assert (
        text.index("1. Votre messagerie")
        < text.index("2. Votre accès au portail")
        < text.index("3. Votre compte bancaire")
    )
    assert "Contestez sans attendre tout prélèvement non autorisé" in text
    assert "13 mois après le débit, sauf délai plus court prévu par votre convention de compte professionnel" in text
    assert "> Le RIB de mon compte professionnel a pu être consulté" in text
    assert "viamedis.net" in text
    assert "01 99 00 56 78" in text
    assert "01 99 00 12 34" not in text  # the insured persons' line


def test_the_insured_never_get_the_professionals_line(catalogue, settings, make_key, somebody):
    text = read(make_key(), catalogue, settings, somebody)
    assert "01 99 00 12 34" in text
    assert "01 99 00 56 78" not in text
    assert "ameli.fr" in text


def test_a_past_member_is_not_told_that_the_card_still_works(catalogue, settings, make_key, somebody):
    assert "Votre carte de tiers payant reste valable" in read(make_key(), catalogue, settings, somebody)
    text = read(make_key("past_member"), catalogue, settings, somebody)
    assert "Votre carte de tiers payant reste valable" not in text
    assert "votre ancien contrat" in text


def test_a_past_member_learns_why_and_hears_of_no_card(catalogue, settings, make_key, somebody):
    text = read(make_key("past_member"), catalogue, settings, somebody)
    assert "Votre contrat chez nous a pris fin" in text
    assert "se trouvaient pourtant encore chez Viamedis" in text
    assert "un ancien relevé de remboursement" in text
    assert "pourquoi ces données étaient conservées" in text
    assert "carte" not in text.replace("carte bancaire", "")


def test_the_members_own_number_stands_before_the_helpline(catalogue, settings, make_key, somebody):
    text = read(make_key(), catalogue, settings, somebody)
    contacts = text[text.index("Vos questions, vos droits") :]
    assert (
        contacts.index("le numéro inscrit sur votre carte")
        < contacts.index("01 99 00 12 34")
        < contacts.index("dpo@")
        < contacts.index("Par courrier")
    )


@pytest.mark.parametrize(
    ("profession", "said"),
    [
        ("pharmacist", ["logiciel de gestion", "ordonnance numérique", "grossiste", "amelipro", "carte CPS"]),
        ("optician", ["réseau de soins", "prise en charge", "verrier"]),
        ("audioprosthetist", ["réseau de soins", "fabricant", "vos patients"]),
        ("dentist", ["laboratoire de prothèse", "agenda en ligne", "devis"]),
        ("other", ["votre Ordre ou votre syndicat"]),
        ("nurse", ["votre Ordre ou votre syndicat"]),
        ("", ["votre Ordre ou votre syndicat"]),
    ],
)
def test_each_profession_is_told_of_its_own_frauds(catalogue, settings, make_key, somebody, profession, said):
    text = read(make_key("professional", profession=profession), catalogue, settings, somebody)
    part = text[text.index("En plus, dans") : text.index("Dans tous les cas")]
    assert [words for words in said if words not in part] == []
    assert text.count("En plus, dans") == 1


def test_a_company_is_asked_to_tell_its_bank_and_the_person_named(catalogue, settings, make_key, somebody):
    kinds = ["rib", "name", "email", "portal_login"]
    text = read(make_key("company", categories=kinds), catalogue, settings, somebody)
    assert "changez le mot de passe de votre messagerie, puis celui du portail, et prévenez votre banque" in text
    assert "> Le RIB de notre compte" in text
    assert "Ses données sont concernées" in text
    assert "vos patients" not in text


def test_the_insured_have_thirteen_months_and_eight_weeks(catalogue, settings, make_key, somebody):
    text = read(make_key(categories=["iban"]), catalogue, settings, somebody)
    assert "au plus tard 13 mois après le débit" in text
    assert "8 semaines" in text
    assert "convention de compte professionnel" not in text


def test_i1_the_childrens_notice_names_them_all_and_speaks_to_the_representative(
    catalogue, settings, make_key, somebody
):
    notice = compile_segment(make_key("dependant", "children"), catalogue, settings)
    reading = notice.read(somebody)
    assert "représentant légal" in reading.text
    assert "\n- Léa Martin\n- Tom Martin-Süß\n" in reading.text
    assert reading.html.count("Tom Martin-Süß") == 3  # in the heading, in the list, and in L'essentiel
    assert "Léa Martin et Tom Martin-Süß" in reading.text
    assert "Bonjour Élodie Martin," in reading.text
    assert "vous recevez un autre message" in reading.text
    assert "Élodie Martin" in reading.subject


@pytest.mark.parametrize(("language", "said"), [
    ("fr", "pour un ou plusieurs des enfants nommés plus haut :"),
    ("en", "for one or more of the children named above:"),
])  # fmt: skip
def test_a_family_s_notice_does_not_say_that_each_datum_of_each_child_came_out(
    catalogue, settings, make_key, somebody, language, said
):
    """Its segment carries the union: of brother and sister one may be in the one file, and one in the other."""
    key = make_key(Audience.DEPENDANT, form=Form.CHILDREN, incidents=("viamedis", "almerys"), language=language)
    assert read(key, catalogue, settings, somebody).count(said) == 2


def test_the_subject_says_for_whom_because_mailboxes_are_shared(catalogue, settings, make_key, somebody):
    subjects = {
        compile_segment(make_key(audience, form), catalogue, settings).read(somebody).subject
        for audience, form in (("insured", "own"), ("dependant", "children"))
    }
    assert len(subjects) == 2
    assert all("Mutuelle Clairval" in subject and "Élodie Martin" in subject for subject in subjects)


def test_a_category_without_a_paragraph_is_an_error(catalogue, settings, make_key):
    with pytest.raises(TemplateError, match=r"no .*paragraphs.* for voice_print"):
        compose(make_key(categories=["nir", "voice_print"]), catalogue, settings)


def test_a_wave_kind_without_a_base_is_an_error(catalogue, settings, make_key):
    only_first = replace(catalogue, bases=catalogue.bases[:4])
    with pytest.raises(TemplateError, match=r"no .*bases.*rectification"):
        compose(replace(make_key(), wave_kind=WaveKind.RECTIFICATION), only_first, settings)


def test_facts_are_not_read_as_markdown(catalogue, settings, make_key, somebody):
    told = "# Titre [lien](https://vol.example) <b>gras</b> 1. *fin*"
    incident = settings.incident("viamedis").model_copy(update={"what_happened": told})
    altered = settings.model_copy(update={"incidents": (incident,)})
    reading = compile_segment(make_key(), catalogue, altered).read(somebody)
    assert told in " ".join(reading.text.split())
    assert "<b>" not in reading.html
    assert "<a " not in reading.html


def test_settings_that_hold_a_marker_are_refused(catalogue, settings, make_key):
    incident = settings.incident("viamedis").model_copy(update={"next_news": "\ue000"})
    altered = settings.model_copy(update={"incidents": (incident,)})
    with pytest.raises(TemplateError, match="private-use"):
        compose(make_key(), catalogue, altered)


@pytest.mark.parametrize(
    ("path", "old", "new", "expected"),
    [
        ("templates/fr/insured/nir.md", "# Conseils", "# Conseille", "nir.md, line 17: unknown heading"),
        ("templates/fr/insured/nir.md", "- nir : ", "- NIR = ", 'under "# Données", write a line "- nir : …"'),
        ("templates/fr/insured/nir.md", "# Risques\n", "# Risques\n{% if %}\n", "nir.md, line 10: "),
        ("templates/fr/insured/nir.md", "# Risques\n", "# Risques\n{{ sender.colour }}\n", "nir.md, line 10: .*colour"),
        ("templates/fr/parts/happened.md", "## Ce", "{{ person.nir }}\n## Ce", "happened.md, line 1: .*nir"),
        ("templates/fr/base/own.md", "Objet : ", "Sujet : ", 'own.md, line 1: begin with "Objet'),
        (
            "templates/fr/base/own.md",
            "parts/exposed.md",
            "parts/gone.md",
            "there is no file templates/fr/parts/gone.md",
        ),
        ("templates/fr/base/own.md", "{{ operators }}", "{{ person.__class__.__mro__ }}", "own.md, line 9: "),
        ("templates/catalogue.toml", '"insured/nir.md"', '"insured/gone.md"', "names templates/fr/insured/gone.md"),
    ],
)
def test_a_faulty_template_is_told_with_file_and_line(edited, settings, make_key, path, old, new, expected):
    with pytest.raises(TemplateError, match=expected):
        compile_segment(make_key(categories=["nir"]), edited(path, old, new), settings)


@pytest.mark.parametrize(
    ("path", "old", "new", "expected"),
    [
        ("templates/catalogue.toml", "layout =", "layuot =", "catalogue.toml, line 1: layout"),
        ("templates/catalogue.toml", '"dependant", "past_member"]\nwaves', '"cousin"]\nwaves', "bases.0.audiences"),
        ("templates/catalogue.toml", "[[bases]]", "[[bases", "catalogue.toml: "),
        ("templates/fr/base/own.md", "L'essentiel", "L'essentiel \ue001", "own.md, line 21: holds a private-use"),
    ],
)
def test_a_faulty_catalogue_is_told(edited, path, old, new, expected):
    with pytest.raises(TemplateError, match=expected):
        edited(path, old, new)


def test_the_campaigns_own_text_stands_in_for_the_shipped_one(folder, settings, make_key, somebody):
    own = folder / "templates" / "fr" / "insured" / "nir.md"
    own.parent.mkdir(parents=True)
    shipped = Catalogue.load(folder, settings)
    own.write_text(
        shipped.text("fr", "insured/nir.md").replace("compte ameli", "compte monsite.example"), encoding="utf-8"
    )
    text = read(make_key(categories=["nir"]), Catalogue.load(folder, settings), settings, somebody)
    assert "monsite.example" in text


def test_a_special_case_above_the_general_one_is_taken(edited, settings, make_key, somebody):
    rule = '[[paragraphs]]\nfile = "insured/nir.md"\n'
    special = f'[[paragraphs]]\nfile = "children/nir.md"\nincidents = ["almerys"]\ncategories = ["nir"]\n\n{rule}'
    catalogue = edited("templates/catalogue.toml", rule, special)
    assert "jusqu'à l'âge adulte" in read(make_key(incidents=["almerys"]), catalogue, settings, somebody)
    assert "jusqu'à l'âge adulte" not in read(make_key(), catalogue, settings, somebody)
