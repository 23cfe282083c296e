"""Cost of one person's message: the compiled segment beside Jinja2 and EmailMessage per person, in the same run.

Goal: at most 25 µs for both bodies (DESIGN 8 measured 15 µs for a bare join). Run: python benchmarks/notices.py
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from tempfile import TemporaryDirectory

from jinja2 import Environment

from notifier.campaign import load, shipped
from notifier.model import Audience, Contact, Exposure, Form, PersonalFields, SegmentKey, WaveKind
from notifier.notices.catalogue import Catalogue
from notifier.notices.compiled import CompiledNotice, compile_segment
from notifier.notices.personal import Marker

AT = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)
TO = "elodie.martin@courriel.example"
MESSAGE_ID = "<0123456789abcdef0123456789abcdef@mutuelle-clairval.example>"
SOMEBODY = PersonalFields(Contact("Martin", "Élodie"), "7K3D-99XA-B2QM")
CATEGORIES = ("civil_status", "birth_date", "nir", "insurer", "contract", "guarantees")


def notice() -> CompiledNotice:
    """The sample's notice to an insured person whom both incidents concern."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(shipped("data") / "campaign" / "sample.toml", folder / "campaign.toml")
        settings = load(folder, environment={})
        catalogue = Catalogue.load(folder, settings)
    key = SegmentKey(
        wave="initial",
        wave_kind=WaveKind.INITIAL,
        sender="clairval",
        audience=Audience.INSURED,
        profession="",
        form=Form.OWN,
        exposures=frozenset(Exposure(code, kind) for code in ("viamedis", "almerys") for kind in CATEGORIES),
        language="fr",
    )
    return compile_segment(key, catalogue, settings)


def usual_way(compiled: CompiledNotice) -> Callable[[], bytes]:
    """What most mailers do per person: two templates, then EmailMessage."""
    names = {Marker.SALUTATION: "salutation", Marker.NAME: "name", Marker.REFERENCE: "reference"}

    def source(text: str) -> str:
        for marker, name in names.items():
            text = text.replace(marker, f"{{{{ {name} }}}}")
        return text

    text = Environment(autoescape=False).from_string(source(compiled.page.text))
    page = Environment(autoescape=True).from_string(source(compiled.page.html))
    values = {"salutation": "Bonjour Élodie Martin,", "name": "Élodie Martin", "reference": SOMEBODY.reference}

    def make() -> bytes:
        message = EmailMessage(policy=SMTP)
        message["From"] = Address("Mutuelle Clairval", addr_spec="information@mutuelle-clairval.example")
        message["To"] = Address("Élodie Martin", addr_spec=TO)
        message["Subject"] = compiled.composition.subject.replace(Marker.NAME, values["name"])
        message["Date"] = AT
        message["Message-ID"] = MESSAGE_ID
        message.set_content(text.render(values))
        message.add_alternative(page.render(values), subtype="html")
        return message.as_bytes()

    return make


def microseconds(work: Callable[[], bytes], times: int) -> float:
    """Best of five runs, per call."""
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(times):
            work()
        best = min(best, (time.perf_counter() - began) / times)
    return best * 1e6


def main() -> None:
    """Print both, and their ratio."""
    compiled = notice()
    ours = microseconds(lambda: compiled.render(SOMEBODY, to=TO, message_id=MESSAGE_ID, date=AT), 5000)
    theirs = microseconds(usual_way(compiled), 50)
    size = len(compiled.render(SOMEBODY, to=TO, message_id=MESSAGE_ID, date=AT))
    print(f"message                     {size / 1000:8.1f} kB")
    print(f"compiled segment            {ours:8.1f} µs per person")
    print(f"Jinja2 + EmailMessage       {theirs:8.1f} µs per person")
    print(f"ratio                       {theirs / ours:8.0f}")


if __name__ == "__main__":
    main()
