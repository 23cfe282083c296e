"""E-mail addresses: syntax, placeholders, providers. No DNS."""

from __future__ import annotations

import pytest

from notifier.errors import SettingsError
from notifier.intake.mailboxes import Rules, is_agency, mailbox, provider, providers, rules, suggestion


@pytest.mark.parametrize(
    ("cell", "value", "code"),
    [
        ("anne.lefevre@courriel.example", "anne.lefevre@courriel.example", ""),
        (" anne@courriel.example\u00a0", "anne@courriel.example", ""),
        (" <Anne.Lefevre@courriel.example>. ", "Anne.Lefevre@courriel.example", "email_trimmed"),
        ("anne@courriel.example.", "anne@courriel.example", "email_trimmed"),
        ("anne@courriel.example;", "anne@courriel.example", "email_trimmed"),
        ("mailto:anne@courriel.example", "anne@courriel.example", "email_trimmed"),
        ('"Anne Lefèvre" <anne@courriel.example>', "anne@courriel.example", "email_trimmed"),
        ("Anne Lefèvre <anne@courriel.example>", "anne@courriel.example", "email_trimmed"),
        ("'anne@courriel.example'", "anne@courriel.example", "email_trimmed"),
        ("anne@orange.fr <paul@courriel.example>", "", "email_several"),
        ("anne@gmial.com", "", "email_typo"),
        ("anne@GMAIL.FR", "", "email_typo"),
        ("anne@wanadoo,fr", "", "email_syntax"),
        ("anne@courriel.example/paul@courriel.example", "", "email_several"),
        ("test@courriel.example", "", "email_placeholder"),
        ("0", "", "email_placeholder"),
        ("o'neill+sante@courriel.example", "o'neill+sante@courriel.example", ""),
        ("anne@santé.example", "anne@xn--sant-epa.example", ""),
        ("", "", "email_missing"),
        ("neant@courriel.example", "", "email_placeholder"),
        ("AUCUN@AUCUN.example", "", "email_placeholder"),
        ("xxx@xxx.example", "", "email_placeholder"),
        ("néant", "", "email_placeholder"),
        ("anne@courriel,example", "", "email_syntax"),
        ("anne@courriel", "", "email_syntax"),
        ("anne.courriel.example", "", "email_syntax"),
        ("hélène@courriel.example", "", "email_syntax"),
        ("anne@@courriel.example", "", "email_syntax"),
        ("anne@-courriel.example", "", "email_syntax"),
        ("an\r\nne@courriel.example", "", "email_syntax"),
        ("anne@courriel.example\nBcc: x@y.example", "", "email_several"),
        ("anne@courriel.example; paul@courriel.example", "", "email_several"),
        ("a" * 65 + "@courriel.example", "", "email_syntax"),
    ],
)
def test_mailbox(cell: str, value: str, code: str) -> None:
    assert mailbox(cell) == (value, code)


@pytest.mark.parametrize(
    ("cell", "meant"),
    [
        ("anne@wanadoo,fr", "anne@wanadoo.fr"),
        ("anne@gmial.com", "anne@gmail.com"),
        ("anne@gmail..com", "anne@gmail.com"),
        ("anne@orange.fr", ""),
        ("anne@inconnu", ""),
        ("hélène@wanadoo,fr", ""),
        ("", ""),
    ],
)
def test_what_was_probably_meant_is_said_and_never_used(cell: str, meant: str) -> None:
    assert suggestion(cell) == meant
    assert not meant or mailbox(cell).value == ""


def test_a_campaign_names_the_addresses_of_its_own_staff(folder) -> None:
    assert rules(folder).own == ""
    (folder / "data").mkdir()
    text = '[placeholders]\nwords = ["rien"]\naddresses = ["Agence.Lyon@clairval.example"]\n[typos]\n'
    (folder / "data" / "mailboxes.toml").write_text(text)
    own = rules(folder)
    assert own.own == text
    assert mailbox("agence.lyon@CLAIRVAL.example", own) == ("", "email_placeholder")
    assert mailbox("agence.nice@clairval.example", own).code == ""
    assert mailbox("rien@courriel.example", own) == ("", "email_placeholder")
    assert mailbox("neant@courriel.example", own).value == "neant@courriel.example"


@pytest.mark.parametrize(
    "text", ["[placeholders]\nwords = []\n", "x", "[placeholders]\nwords = 3\naddresses = []\n[typos]\n"]
)
def test_rules_that_cannot_be_read_are_told_with_their_path(folder, text: str) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "mailboxes.toml").write_text(text)
    with pytest.raises(SettingsError, match=r"mailboxes\.toml"):
        rules(folder)


def test_provider_of_the_shipped_table(folder) -> None:
    table = providers(folder)
    assert provider("anne@Wanadoo.fr", table) == "orange"
    assert provider("anne@laposte.net", table) == "laposte"
    assert provider("anne@petit-domaine.example", table) == "other"


def test_a_campaign_puts_its_own_table_over_the_shipped_one(folder) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "providers.toml").write_text('[provider.mine]\ndomains = ["courriel.example"]\n')
    assert provider("anne@courriel.example", providers(folder)) == "mine"


def test_an_agencys_address_is_told_from_other_placeholders():
    own = Rules(frozenset({"neant"}), frozenset({"agence@clairval.example"}), {})
    assert is_agency(" <Agence@Clairval.example>; ", own)
    assert not is_agency("neant@clairval.example", own)
    assert not is_agency("", own)
