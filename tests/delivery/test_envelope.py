"""I2, at the moment of sending: the message goes to the contact's address and to nobody else."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifier.delivery.transaction import Envelope, EnvelopeError, body, sendable, verify

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
        verify(good._replace(path="autre@courriel.example"), RECIPIENT)


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
        body(good._replace(message=good.message + bad + b"\r\n"))


# -- the rule itself, as one pattern ---------------------------------------------------------------------------------

TO = re.compile(rb"^To:[ \t]*([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)\r\n(?![ \t])", re.IGNORECASE | re.MULTILINE)
HEADS = st.lists(
    st.one_of(
        st.sampled_from([
            f"To: {RECIPIENT}", f"to:\t<{RECIPIENT}>", f"To: x\r\n <{RECIPIENT}>", "To:", "Subject: To: x", "\r\n",
            f"To: x\n <{RECIPIENT}>", f"To: x\r <{RECIPIENT}>", f"TO: =?utf-8?q?x?=\r\n\t\r\n <{RECIPIENT}>", "x: y",
        ]),
        st.text("\r\n \tTo:,<>a@é", max_size=8),
    ),
    max_size=4,
)  # fmt: skip


@settings(max_examples=300)
@given(HEADS, st.sampled_from(["\r\n\r\nx\r\n", "\r\n", "", f"\r\n\r\nTo: {RECIPIENT}\r\n"]))
@example([f"To: x\r\n <{RECIPIENT}>", "x: y"], "\r\n\r\nx\r\n")
@example([f"To: {RECIPIENT}"], "\r\n")
@example([f"To: x\n <{RECIPIENT}>"], "\r\n\r\nx\r\n")
def test_i2_the_one_to_is_read_as_its_grammar_says(lines, end):
    message = ("\r\n".join(lines) + end).encode()
    head = message[: message.find(b"\r\n\r\n") + 2]
    found = TO.search(head)
    written = found[1].replace(b"\r\n", b"").strip(b" \t").decode() if found else ""
    phrase, _, address = written.partition("<")
    right = written == RECIPIENT or (address == f"{RECIPIENT}>" and "," not in phrase)
    right = right and len(re.findall(rb"(?i)(?:^|\n)to:", head)) == 1
    try:
        verify(Envelope("bounces@b.example", RECIPIENT, RECIPIENT, message, "00"), RECIPIENT)
    except EnvelopeError:
        assert not right
    else:
        assert right


@given(st.one_of(st.emails(), st.text("a@.<> é\x00\x7f~!", max_size=9), st.text("a@", min_size=250, max_size=260)))
@example("a@b@c.example")
@example("é@c.example")
@example("a" * 200 + "@" + "b" * 56)
@example("a" * 200 + "@" + "b" * 55)
def test_i2_an_address_that_a_command_can_carry_is_carried_as_it_stands(address):
    local, _, domain = address.rpartition("@")
    carries = bool(local and domain) and len(address) <= 256 and not re.search(r"[\x00-\x20\x7f<>]", address)
    if domain.isascii():
        assert sendable(address) == (address if carries else None)
