"""Messages that are made together are those that would be made one by one, and one that cannot be made stops no other
(I1, I2)."""

from __future__ import annotations

import pytest

from notifier.delivery.envelopes import Order, Ready, prepare, prepare_all
from notifier.errors import VaultError
from notifier.model import Contact
from notifier.storage.deliveries import Claim, Informed
from notifier.vault import Keys, Vault
from tests.properties.test_compiled import NOTICES

VAULT = Vault(Keys.new("test"))
LISTED = frozenset({"courriel.example"})


@pytest.fixture
def sender(settings):
    return settings.sender("clairval")


def claim(number: int, contact: Contact, *, form: str = "own", informed: tuple[Informed, ...] = ()) -> Claim:
    identity = number.to_bytes(16, "big")
    sealed = VAULT.seal("contact", identity, contact.fields())
    return Claim(
        id=number, token=identity, wave_id=1, wave="initial", batch_id=1, segment_id=1, contact_id=number,
        provider="other", attempt=1, retries=0, doubts=0, first_ms=1_707_465_600_000, started_ms=1_707_465_600_000,
        epoch=1, sender="clairval", form=form, identity=identity, sealed=sealed, has_postal=False, informed=informed,
    )  # fmt: skip


def child(number: int, name: str) -> Informed:
    identity = number.to_bytes(16, "big")
    return Informed("clairval", identity, VAULT.seal("person", identity, Contact(name, "Zoé").fields()), None, None)


def test_i2_together_as_one_by_one(sender):
    good = Contact("Lenoir", "Marie", email="m.lenoir@courriel.example")
    moved = claim(3, good)
    orders = [
        Order(claim(1, good), sender, NOTICES[0]),
        Order(claim(2, Contact("Sans", "Adresse")), sender, NOTICES[0]),
        Order(moved._replace(identity=b"another's row..."), sender, NOTICES[0]),
        Order(claim(4, Contact("D'Hœrdt", "<Léa>", email="léa@générale.example")), sender, NOTICES[3]),
        Order(claim(5, good, form="children", informed=(child(6, "Lenoir"), child(7, ". x"))), sender, NOTICES[1]),
        Order(claim(8, Contact("Autre", "", email="a b@courriel.example")), sender, NOTICES[0]),
        Order(claim(9, Contact("Petit", "Jean", email="j.petit@ailleurs.example")), sender, NOTICES[0]),
    ]
    made = prepare_all(orders, VAULT, LISTED)
    assert len(made) == len(orders)
    for order, one in zip(orders, made, strict=True):
        if isinstance(one, Ready):
            assert one == prepare(order.held, VAULT, order.sender, order.notice, LISTED)
            if one.posting is not None:
                message = one.posting.wire.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")
                assert one.posting.size == len(message) and one.posting.is_ascii is message.isascii()
        else:
            with pytest.raises(type(one), match=str(one)):
                prepare(order.held, VAULT, order.sender, order.notice, LISTED)
    kinds = [type(one) if isinstance(one, Exception) else one.posting and one.posting.path for one in made]
    addresses = ("m.lenoir@courriel.example", "léa@xn--gnrale-bvab.example", "j.petit@ailleurs.example")
    assert kinds == [addresses[0], None, VaultError, addresses[1], addresses[0], None, addresses[2]]


def test_i8_what_is_ready_does_not_print_its_person(sender):
    held = claim(1, Contact("Lenoir", "Marie", email="m.lenoir@courriel.example"))
    ready = prepare(held, VAULT, sender, NOTICES[0], LISTED)
    assert set(ready.forbidden) == {"Lenoir", "Marie", "m.lenoir@courriel.example", "m.lenoir"}
    assert "enoir" not in f"{ready!r} {ready.posting!r}"
