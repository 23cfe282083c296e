"""In which language a segment is told: the reader's, if there are texts and facts in it; else English; else the
campaign's own. Never half in one and half in another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from notifier.campaign import Settings, WaveWords
from notifier.errors import TemplateError
from notifier.model import WaveKind
from notifier.notices.compiled import compile_segment
from notifier.notices.lint import lint
from notifier.notices.tongue import tongue
from notifier.translations import WaveTranslation


def without(settings: Settings, *names: str) -> Settings:
    """The settings with some English words of Viamedis taken out."""
    incident = settings.incident("viamedis")
    english = incident.translations["en"]
    emptied = english.model_copy(update={name: type(getattr(english, name))() for name in names})
    others = tuple(other for other in settings.incidents if other.code != "viamedis")
    first = incident.model_copy(update={"translations": {"en": emptied}})
    return settings.model_copy(update={"incidents": (first, *others)})


def read(key, catalogue, settings, somebody):
    return " ".join(compile_segment(key, catalogue, settings).read(somebody).text.split())


@pytest.mark.parametrize(
    ("wanted", "told"), [("fr", "fr"), ("en", "en"), ("pt", "en"), ("ar", "en"), ("", "en"), ("zz", "en")]
)
def test_a_reader_is_told_in_their_language_or_in_english(catalogue, settings, make_key, wanted, told):
    assert tongue(make_key(language=wanted), catalogue, settings).language == told


def test_without_another_language_everybody_is_told_in_the_campaigns_own(edited, settings, make_key):
    catalogue = edited("templates/catalogue.toml", 'other_language = "en"', "")
    assert tongue(make_key(language="pt"), catalogue, settings).language == "fr"
    assert tongue(make_key(language="en"), catalogue, settings).language == "en"


def test_another_language_without_texts_is_refused(edited):
    with pytest.raises(TemplateError, match="other_language 'de' has no"):
        edited("templates/catalogue.toml", 'other_language = "en"', 'other_language = "de"')


def test_english_holds_no_french_sentence(catalogue, settings, make_key, somebody):
    for audience, form in (("insured", "own"), ("dependant", "children"), ("professional", "own")):
        text = read(make_key(audience, form, language="en"), catalogue, settings, somebody)
        assert "Dear Élodie Martin," in text
        assert "Viamedis disconnected its platform" in text
        assert "29 January 2024" in text
        for french in ("Viamedis a ", "Nous ", "Votre ", "du lundi", "déléguée", "février", "les coordonnées"):
            # The text for the bank is French because the bank is.
            assert french not in text.replace("Le RIB de mon compte", ""), french


@pytest.mark.parametrize("name", ["what_happened", "measures", "not_exposed", "next_news", "state_of_service"])
def test_a_fact_without_english_keeps_the_whole_notice_in_french(catalogue, settings, make_key, somebody, name):
    altered = without(settings, name)
    found = tongue(make_key(language="en"), catalogue, altered)
    assert found.language == "fr"
    assert found.missing == (f"[[incidents]] viamedis: translations.en: {name}",)
    assert "Viamedis a déconnecté" in read(make_key(language="en"), catalogue, altered, somebody)
    [told] = [each for each in lint([make_key(language="en")], catalogue, altered) if each.code == "language"]
    assert name in told.text
    assert "'fr'" in told.text
    assert told.severity == "warning"


def test_a_measure_too_few_counts_as_missing(catalogue, settings, make_key):
    incident = settings.incident("viamedis").model_copy(update={"measures": ("Une.", "Deux.", "Trois.")})
    altered = settings.model_copy(update={"incidents": (incident,)})
    assert tongue(make_key(language="en"), catalogue, altered).missing == (
        "[[incidents]] viamedis: translations.en: measures",
    )


def test_what_another_incident_lacks_concerns_its_own_readers_alone(catalogue, settings, make_key):
    altered = without(settings, "what_happened")
    assert tongue(make_key(language="en", incidents=["almerys"]), catalogue, altered).language == "en"


def test_words_of_a_round_are_told_in_the_readers_language(catalogue, settings, make_key, somebody):
    key = replace(make_key(language="en"), wave="w2", wave_kind=WaveKind.FOLLOW_UP)
    french = WaveWords(news="Les données ont été copiées.")
    both = french.model_copy(update={"translations": {"en": WaveTranslation(news="The data were copied.")}})
    told = [
        read(key, catalogue, settings.model_copy(update={"waves": {"w2": words}}), somebody) for words in (french, both)
    ]
    assert "Les données ont été copiées." in told[0]
    assert "Dear" not in told[0]
    assert "The data were copied." in told[1]


def test_a_language_without_texts_is_told_to_the_operator(catalogue, settings, make_key):
    [told] = [each for each in lint([make_key(language="pt")], catalogue, settings) if each.code == "language"]
    assert told.text == "no texts in 'pt': these persons are written to in 'en'"
