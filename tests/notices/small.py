"""A small catalogue of the tests' own, in any script: the shipped texts do not matter to how mail is made."""

from __future__ import annotations

import shutil
from pathlib import Path

from notifier.campaign import Settings, load, shipped
from notifier.model import Audience, Exposure, Form, SegmentKey, WaveKind
from notifier.notices.catalogue import Catalogue

RULES = """\
layout = "layout.html"

[[bases]]
file = "own.md"
forms = ["own"]

[[bases]]
file = "children.md"
forms = ["children"]

[[paragraphs]]
file = "nir.md"
categories = ["nir"]

[languages.{language}]
subject = "Subject"
salutation = "{hello} {{name}},"
neutral_salutation = "{hello},"
neutral_name = "{hello}"
unnamed = "{hello}"
and = "+"
months = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"]
first_day = "1"

[languages.{language}.sections]
title = "Title"
data = "Data"
consequence = "Consequence"
today = "Today"
actions = "Actions"
forward = "Forward"
"""
BASE = """\
Subject : {{{{ sender.brand }}}} {hello} {{{{ person.name }}}}

# {text}

{{{{ person.salutation }}}} {text}

{{% for paragraph in paragraphs %}}
{{{{ paragraph.consequence }}}} {{{{ paragraph.actions }}}}
{{% endfor %}}

{{{{ person.name }}}} {text} {{{{ person.reference }}}}{{{{ person.name }}}}
"""
LIST = "\n- {{ person.concerned }}\n\n{{ person.concerned_line }}\n"
PARAGRAPH = "# Title\n\n{text}\n\n# Data\n\n- nir : {hello}\n\n# Consequence\n\n{text}\n\n# Today\n\n{text}\n\n"
PARAGRAPH += "# Actions\n\n- {text}\n"
LAYOUT = '<html lang="{{ language }}"><body>{{ body }}</body></html>\n'

ARABIC = ("ar", "السلام", "تم الاطلاع على بياناتك الشخصية، ونحن نعتذر عن ذلك")
GREEK = ("el", "Καλημέρα", "Τα προσωπικά σας δεδομένα ενδέχεται να έχουν διαρρεύσει")
FRENCH = ("fr", "Bonjour", "Vos données personnelles ont pu être consultées ; nous en sommes désolés")


def key_of(form: Form = Form.OWN, language: str = "fr", sender: str = "clairval") -> SegmentKey:
    return SegmentKey(
        wave="initial",
        wave_kind=WaveKind.INITIAL,
        sender=sender,
        audience=Audience.DEPENDANT if form is Form.CHILDREN else Audience.INSURED,
        profession="",
        form=form,
        exposures=frozenset({Exposure("viamedis", "nir")}),
        language=language,
    )


def small_catalogue(folder: Path, language: str, hello: str, text: str, times: int = 6) -> tuple[Catalogue, Settings]:
    """Write it into a campaign folder's templates/ (nothing else of the shipped ones is used), and load it."""
    if not (folder / "campaign.toml").exists():
        shutil.copy(shipped("data") / "campaign" / "sample.toml", folder / "campaign.toml")
    texts = folder / "templates" / language
    texts.mkdir(parents=True, exist_ok=True)
    words = {"language": language, "hello": hello, "text": " ".join([text] * times)}
    (folder / "templates" / "catalogue.toml").write_text(RULES.format(**words), encoding="utf-8")
    base = BASE.format(**words)
    (texts / "own.md").write_text(base, encoding="utf-8")
    (texts / "children.md").write_text(base + LIST, encoding="utf-8")
    (texts / "nir.md").write_text(PARAGRAPH.format(**words), encoding="utf-8")
    (texts / "layout.html").write_text(LAYOUT, encoding="utf-8")
    loaded = load(folder, environment={"NOTIFIER_CAMPAIGN__LANGUAGE": language})
    return Catalogue.load(folder, loaded), loaded
