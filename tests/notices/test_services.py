"""Public services that notices name: data, with dates; never a number inside a text."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest

from notifier.errors import SettingsError
from notifier.notices.compose import compose
from notifier.notices.services import CHECKED_DAYS, SERVICES, check_services, read_services

TODAY = date(2024, 3, 1)
TEXT = "Appelez le {{ public.help.phone }}."


def one(**dates: date):
    lines = "".join(f"{name} = {value}\n" for name, value in {"checked": TODAY, **dates}.items())
    return read_services(f'[help]\nphone = "36 46"\nsource = "x"\n{lines}'.encode())


def found(services, text=TEXT, today=TODAY):
    return [(each.severity, each.where) for each in check_services(services, [text], today)]


def test_no_text_holds_a_telephone_number_or_site_of_its_own(catalogue):
    """A number that changes is changed in one file."""
    known = {value for service in catalogue.services.values() for value in (service.phone, service.site) if value}
    for path, content in catalogue.files.items():
        if path.endswith(".md") and "/kit/" not in path:
            text = content.decode()
            assert not [value for value in known if re.search(rf"(?<![\w.]){re.escape(value)}(?![\w.]\w)", text)], path
            assert not re.search(r"\b0[ .]?\d(?:[ .]?\d){7,8}\b|\b\d\d \d\d\b|\b\w+\.(?:gouv\.)?fr\b", text), path


def test_every_service_is_named_by_a_text_in_each_language(catalogue):
    for language in ("fr", "en"):
        named = "".join(
            content.decode() for path, content in catalogue.files.items() if path.startswith(f"templates/{language}/")
        )
        assert [code for code in catalogue.services if f"public.{code}." not in named] == []


def test_a_number_changes_in_every_notice_at_once(catalogue, settings, make_key):
    changed = catalogue.files[SERVICES].replace(b'phone = "36 46"', b'phone = "39 99"')
    altered = type(catalogue).of({**catalogue.files, SERVICES: changed}, settings)
    text = compose(make_key(categories=["nir"]), altered, settings).markdown.replace("\u00a0", " ")
    assert "39 99" in text
    assert "36 46" not in text


def test_an_outdated_service_blocks_and_an_old_check_warns():
    day = timedelta(days=1)
    assert found(one()) == []
    assert found(one(valid_until=TODAY)) == []
    assert found(one(valid_until=TODAY - day)) == [("error", f"{SERVICES}: help")]
    assert found(one(valid_from=TODAY + day)) == [("error", f"{SERVICES}: help")]
    assert found(one(checked=TODAY - timedelta(days=CHECKED_DAYS))) == []
    assert found(one(checked=TODAY - timedelta(days=CHECKED_DAYS + 1))) == [("warning", f"{SERVICES}: help")]


def test_a_service_that_no_text_names_bothers_nobody():
    assert found(one(valid_until=date(2000, 1, 1)), text="{{ public.helpers.phone }}") == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'[a]\nphone = "1"\nsource = "x"\n', "checked"),
        (b'[a]\nfone = "1"\nsource = "x"\nchecked = 2024-01-01\n', "fone"),
        (b"[a\n", "public-services.toml"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(content, told):
    with pytest.raises(SettingsError, match=told):
        read_services(content)
