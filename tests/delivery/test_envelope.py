"""I2, at the moment of sending: the message goes to the contact's address and to nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from notifier.delivery.transaction import Envelope, EnvelopeError, body, verify

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


def test_i2_a_path_that_is_not_the_contacts_is_refused():
    good = envelope(RECIPIENT)
    with pytest.raises(EnvelopeError, match="the path of RCPT"):
        verify(replace(good, path="autre@courriel.example"), RECIPIENT)


@pytest.mark.parametrize(
    ("recipient", "path"),
    [("léa@courriel.example", "léa@courriel.example"), ("lea@générale.example", "lea@xn--gnrale-bvab.example")],
)
def test_i2_an_internationalised_address_is_compared_too(recipient, path):
    message = f"From: a@b.example\r\nTo: {path}\r\n\r\nBonjour\r\n".encode()
    verify(Envelope("bounces@b.example", recipient, path, message, "00" * 16), recipient)
    other = message.replace(b"To: l", b"To: L")
    with pytest.raises(EnvelopeError, match="To is not"):
        verify(Envelope("bounces@b.example", recipient, path, other, "00" * 16), recipient)


@pytest.mark.parametrize("bad", [b"\rX", b"\nX", b"\n.\r\n", b"\r\r\n"])
def test_a_bare_cr_or_lf_never_goes_out(bad):
    good = envelope(RECIPIENT)
    with pytest.raises(EnvelopeError, match="bare CR or LF"):
        body(replace(good, message=good.message + bad + b"\r\n"))
