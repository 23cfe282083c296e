"""I2, at the moment of sending: the message goes to the contact's address and to nobody else."""

from __future__ import annotations

import pytest

from notifier.delivery.transaction import Envelope, EnvelopeError, verify

RECIPIENT = "lea@courriel.example"


def envelope(to: str) -> Envelope:
    message = f"From: a@b.example\r\nTo: {to}\r\nSubject: x\r\n\r\nBonjour\r\n".encode()
    return Envelope("bounces@b.example", RECIPIENT, RECIPIENT, message, "00" * 16)


@pytest.mark.parametrize("to", [RECIPIENT, f"<{RECIPIENT}>", f"=?utf-8?q?L=C3=A9a?=\r\n <{RECIPIENT}>"])
def test_i2_the_contacts_address_passes(to):
    verify(envelope(to), RECIPIENT)


@pytest.mark.parametrize(
    "to",
    [
        "marie.lea@courriel.example",  # ends as the right one does
        f"autre@courriel.example, {RECIPIENT}",
        f"<autre@courriel.example>, <{RECIPIENT}>",
        f"{RECIPIENT}\r\nTo: {RECIPIENT}",
        "autre@courriel.example",
    ],
)
def test_i2_any_other_to_is_refused(to):
    with pytest.raises(EnvelopeError):
        verify(envelope(to), RECIPIENT)
