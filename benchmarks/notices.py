"""Cost of one person's message: the compiled segment beside Jinja2 and EmailMessage per person, in the same run.

Goal: at most 25 µs for a notice of 6 kB with two bodies (DESIGN 8 measured 15 µs for a bare join), on a machine that
does nothing else; the ratio holds on any. Times are of the processor, so that neighbours on the machine do not count.
DKIM has lines of its own: an RSA signature costs more than all the rest. Run: python benchmarks/notices.py
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jinja2 import Environment

from notifier.campaign import load, shipped
from notifier.dkim import Signer, load_signer
from notifier.model import Audience, Contact, Exposure, Form, PersonalFields, SegmentKey, WaveKind
from notifier.notices.catalogue import Catalogue
from notifier.notices.compiled import CompiledNotice, compile_segment
from notifier.notices.personal import Marker

AT = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)
TO = "elodie.martin@courriel.example"
MESSAGE_ID = "<0123456789abcdef0123456789abcdef@mutuelle-clairval.example>"
SOMEBODY = PersonalFields(Contact("Martin", "Élodie"), "7K3D-99XA-B2QM")
CATEGORIES = ("civil_status", "birth_date", "nir", "insurer", "contract", "guarantees")


SMALL = """\
Objet : {{ sender.brand }} – information pour {{ person.name }} sur une violation de données

# Vos données personnelles ont pu être consultées

{{ person.salutation }}

{% for paragraph in paragraphs %}
**{{ paragraph.title }}.** {{ paragraph.consequence }}

{{ paragraph.actions }}
{% endfor %}

Votre référence : {{ person.reference }}
"""
LAYOUT = '<html lang="{{ language }}"><body>{{ body }}</body></html>\n'


def notice(*, small: bool = False) -> CompiledNotice:
    """The sample's notice to an insured person whom both incidents concern; ``small``: a short frame around it."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(shipped("data") / "campaign" / "sample.toml", folder / "campaign.toml")
        if small:
            texts = folder / "templates" / "fr"
            (texts / "base").mkdir(parents=True)
            (texts / "base" / "own.md").write_text(SMALL, encoding="utf-8")
            (texts / "layout.html").write_text(LAYOUT, encoding="utf-8")
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
    """Best of seven runs, per call, in time of the processor."""
    best = float("inf")
    for _ in range(7):
        began = time.thread_time()
        for _ in range(times):
            work()
        best = min(best, (time.thread_time() - began) / times)
    return best * 1e6


def signer(*, two: bool) -> Signer:
    """Who signs with an RSA key of 2048 bits, and with ``two`` in ed25519 too."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(shipped("data") / "campaign" / "sample.toml", folder / "campaign.toml")
        keys: dict[str, PrivateKeyTypes] = {"dkim_key": rsa.generate_private_key(65537, 2048)}
        if two:
            keys["dkim_ed25519_key"] = Ed25519PrivateKey.generate()
        update: dict[str, object] = {}
        for setting, key in keys.items():
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            (folder / setting).write_bytes(pem)
            update |= {setting: folder / setting, setting.replace("_key", "_selector"): setting.replace("_", "-")}
        made = load_signer(load(folder, environment={}).senders[0].model_copy(update=update), folder)
        assert made is not None
        return made


def compare(compiled: CompiledNotice) -> None:
    """One notice both ways."""

    def render() -> bytes:
        return compiled.render(SOMEBODY, to=TO, message_id=MESSAGE_ID, date=AT)

    ours, theirs = microseconds(render, 3000), microseconds(usual_way(compiled), 30)
    print(f"message                     {len(render()) / 1000:8.1f} kB")
    print(f"  compiled segment          {ours:8.1f} µs per person")
    print(f"  Jinja2 + EmailMessage     {theirs:8.1f} µs per person")
    print(f"  ratio                     {theirs / ours:8.0f}")


def main() -> None:
    """Print both ways for a short and for the whole notice, then what a signature adds."""
    compare(notice(small=True))
    whole = notice()
    compare(whole)
    message = whole.render(SOMEBODY, to=TO, message_id=MESSAGE_ID, date=AT)
    for words, two in (("DKIM, rsa-sha256", False), ("DKIM, rsa and ed25519", True)):
        signs = signer(two=two)
        print(f"  + {words:22}  {microseconds(partial(signs.signed, message, at=AT), 100):8.1f} µs per person")


if __name__ == "__main__":
    main()
