"""E-mail addresses: syntax, placeholders, providers. No DNS."""

from __future__ import annotations

import pytest

from notifier.intake.mailboxes import mailbox, provider, providers


@pytest.mark.parametrize(
    ("cell", "value", "code"),
    [
        ("anne.lefevre@courriel.example", "anne.lefevre@courriel.example", ""),
        (" <Anne.Lefevre@courriel.example>. ", "Anne.Lefevre@courriel.example", ""),
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


def test_provider_of_the_shipped_table(folder) -> None:
    table = providers(folder)
    assert provider("anne@Wanadoo.fr", table) == "orange"
    assert provider("anne@laposte.net", table) == "laposte"
    assert provider("anne@petit-domaine.example", table) == "other"


def test_a_campaign_puts_its_own_table_over_the_shipped_one(folder) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "providers.toml").write_text('[provider.mine]\ndomains = ["courriel.example"]\n')
    assert provider("anne@courriel.example", providers(folder)) == "mine"
