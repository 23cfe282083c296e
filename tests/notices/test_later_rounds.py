"""Texts of the rounds after the first: what each must say, and what only the campaign can say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from notifier.campaign import WaveWords
from notifier.model import WaveKind
from notifier.notices.compiled import compile_segment
from notifier.notices.lint import NEEDED, lint

WRONG = "Nous vous avions écrit que votre adresse e-mail avait pu être consultée."
RIGHT = "Votre adresse e-mail n'a pas été consultée."
NEWS = "L'enquête a établi que les données consultées ont été copiées."
ADVICE = "Vérifiez vos remboursements chaque mois."
WORDS = WaveWords(wrong=WRONG, right=RIGHT, news=NEWS, advice=(ADVICE,))


def of_kind(key, kind):
    return replace(key, wave="w2", wave_kind=WaveKind(kind))


@pytest.fixture
def worded(settings):
    return settings.model_copy(update={"waves": {"w2": WORDS}})


@pytest.mark.parametrize("kind", list(NEEDED))
def test_what_only_the_campaign_can_say_is_a_blank_that_check_names(catalogue, settings, make_key, kind):
    found = lint([of_kind(make_key(), kind)], catalogue, settings)
    blanks = [each for each in found if each.code == "blank"]
    assert len(blanks) == len(NEEDED[kind])
    assert {each.where for each in blanks} == {"[waves.w2]"}
    assert {each.severity for each in blanks} == {"error"}


def text_of(key, kind, catalogue, settings, somebody):
    return " ".join(compile_segment(of_kind(key, kind), catalogue, settings).read(somebody).text.split())


def test_each_kind_says_what_it_is_for(catalogue, worded, make_key, somebody):
    def told(kind, key=None):
        return text_of(key or make_key(), kind, catalogue, worded, somebody).replace("\u00a0", " ")

    assert "seulement ce qui est nouveau" in told("supplement")
    assert "Les données à votre nom n'étaient pas concernées" in told("rectification")
    assert "au commissariat" not in told("rectification")
    assert "au commissariat" in told("correction")
    assert WRONG in told("correction")
    assert RIGHT in told("correction")
    assert NEWS in told("follow-up")
    assert WRONG not in told("follow-up")
    assert ADVICE in told("follow-up")
    assert f"par précaution au sujet d'une violation de données chez Viamedis. {NEWS}" in told("precaution")
    shop = make_key("professional")
    assert "de votre activité sont concernées" in told("supplement", shop)
    assert "vos enfants" in told("rectification", make_key("dependant", "children"))


def test_a_correction_that_leaves_out_what_was_wrong_is_found(edited, worded, make_key):
    catalogue = edited("templates/fr/base/news.md", "{{ wave.wrong }}", "voir notre site.")
    found = lint([of_kind(make_key(), "correction")], catalogue, worded)
    assert [each.code for each in found if each.severity == "error"] == ["wave"]


def test_the_first_round_reads_as_before(catalogue, settings, worded, make_key, somebody):
    notice = compile_segment(make_key(), catalogue, settings)
    assert notice.read(somebody).text == compile_segment(make_key(), catalogue, worded).read(somebody).text
    assert "déjà écrit" not in notice.read(somebody).text
    assert "Elle vous concerne personnellement" in notice.read(somebody).text


def test_a_supplement_says_that_what_was_told_stands(catalogue, worded, make_key, somebody):
    told = text_of(make_key(), "supplement", catalogue, worded, somebody)
    assert "Nous vous avons déjà écrit au sujet d'une violation de données" in told
    assert "ses conseils restent valables" in told
    assert "désolés de devoir vous écrire une nouvelle fois" in told
    assert "Ce qui est nouveau :" in told.replace("\u00a0", " ")
    assert "une autre" not in told[:600]


def test_a_second_breach_is_told_as_one(catalogue, settings, make_key, somebody):
    """The same person in another breach: we say that we have written before, and that this is another event."""
    words = WORDS.model_copy(update={"new_incidents": ("almerys",)})
    second = settings.model_copy(update={"waves": {"w2": words}})
    key = make_key(incidents=["almerys"])
    notice = compile_segment(of_kind(key, "supplement"), catalogue, second).read(somebody)
    assert notice.subject.endswith("sur une violation de données (nouvel incident)")
    told = " ".join(notice.text.split())
    assert told.startswith("Une autre violation de données vous concerne")
    assert "Nous vous avons déjà écrit" in told
    assert "chez Almerys. C'est un fait nouveau, distinct du précédent" in told
    assert "Ce que nous vous avons écrit la première fois reste vrai" in told
    assert "deuxième message" in told
    # More of the first breach in the same message is told apart from the second breach.
    both = text_of(make_key(incidents=["viamedis", "almerys"]), "supplement", catalogue, second, somebody)
    assert "d'autres données étaient accessibles chez Viamedis" in both


def test_a_new_incident_must_be_one_that_the_campaign_knows(settings):
    with pytest.raises(ValueError, match=r"new_incidents: no .*incidents.* has the code 'cegedim'"):
        type(settings).model_validate({**settings.model_dump(), "waves": {"w2": {"new_incidents": ["cegedim"]}}})
