"""What a server says loses the login's secret (I8), and stays as it is where it says nothing of it."""

from __future__ import annotations

import base64
import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.campaign import RelayAccess
from notifier.delivery.login import Login, read_login
from notifier.errors import SettingsError
from tests.delivery.real_replies import REPLIES

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@given(words, words.filter(lambda text: len(text) >= 4), words, words)
def test_i8_no_form_of_the_password_stays(user, password, before, after):
    login = Login(user, password)
    forms = (password, encoded(password), encoded(f"\0{user}\0{password}"), encoded(f"{user}\0{user}\0{password}"))
    for form in forms:
        for told in (login.conceal(f"{before} {form} {after}"), login.conceal_all(f"{before}({form}){after}")):
            assert told.count("<secret>") >= 1
            if form not in before + after + "<secret>" + user:
                assert form not in told
    assert password not in repr(login)


def test_i8_a_short_password_is_one_word_among_others():
    login = Login("clairval", "ok")
    assert login.conceal("2.0.0 Ok, not ok: the token oklahoma") == "2.0.0 <secret>, not <secret>: the token oklahoma"


@pytest.mark.parametrize("cut", range(16, 32, 5))
def test_i8_a_command_that_the_server_repeats_cut_short(cut):
    login = Login("clairval", "Hunter2hunter2")
    said = encoded("\0clairval\0Hunter2hunter2")[:cut]
    assert login.conceal_all(f'unknown "AUTH PLAIN {said}"') == 'unknown "AUTH PLAIN <secret>"'


def test_what_a_server_says_of_a_login_can_still_be_read():
    login = Login("clairval", "Hunter2hunter2")
    for told in (
        "5.7.8 Error: authentication failed: authentication failure",
        "5.7.8 Username and Password not accepted. See https://support.example/mail/?p=BadCredentialsOfYours25",
        "5.7.139 AUTHENTICATIONUNSUCCESSFUL, SmtpClientAuthentication is disabled for the Tenant",
    ):
        assert login.conceal(told) == told
        assert login.conceal_all(told).replace("<secret>", "SmtpClientAuthentication") == told


def test_what_servers_say_of_messages_stays_as_it_is():
    login = Login("clairval", "Hunter2hunter2")
    said = [text for _, _, _, text, _ in REPLIES]
    assert said and [login.conceal(text) for text in said] == said


def password_of(content: bytes, folder: Path) -> str:
    (folder / "pw").write_bytes(content)
    section = RelayAccess(host="smtp.example", username="clairval", password_file=Path("pw"))
    login = read_login(section, "relay", "NOTIFIER_RELAY_PASSWORD", folder, {})
    assert login is not None
    return login.password


@pytest.mark.parametrize("around", [b"%b", b"%b\n", b"%b\r\n", codecs.BOM_UTF8 + b"%b\n"])
def test_a_password_file_holds_one_line_however_an_editor_left_it(around, tmp_path):
    for password in ("s3cret é", " with spaces "):
        assert password_of(around % password.encode(), tmp_path) == password


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (codecs.BOM_UTF8 + b"\r\n", "is empty"),
        (b"hunter\ntwo\n", "several lines"),
        (b"\nhunter\n", "several lines"),
        (b"hunter\n\n", "several lines"),
        (b"hunter\rtwo", "several lines"),
        ("hunter".encode("utf-16"), "no text in UTF-8"),
        (b"hun\0ter", "no text in UTF-8"),
    ],
)
def test_a_password_file_that_cannot_be_meant_is_told_and_not_sent(content, words, tmp_path):
    with pytest.raises(SettingsError, match=rf"relay\.password_file: .*pw .*{words}") as told:
        password_of(content, tmp_path)
    assert "hun" not in str(told.value)
