"""A campaign that signs for itself: what arrives verifies; another key under the same selector stops `send` (I7)."""

import dkim
import pytest

from notifier.campaign import load
from notifier.dkim import load_signers
from notifier.notices.rules import RULES
from tests.delivery.keys import pem
from tests.stories.test_s01_one_row import DIRECTORY, EXPORT, _key

pytestmark = pytest.mark.thorough


def test_i7_signed_mail_arrives_and_another_key_is_refused(cli, sink, tmp_path):
    keys = tmp_path / "keys"  # outside the campaign folder
    keys.mkdir()
    key = keys / "dkim.pem"
    key.write_bytes(pem("rsa"))
    key.chmod(0o600)
    settings = cli.campaign / "campaign.toml"
    words = f'dkim_key = "{key}"\ndkim_selector = "s1"\nbounce_domain'
    settings.write_text(settings.read_text(encoding="utf-8").replace("bounce_domain", words, 1), encoding="utf-8")

    export, directory = tmp_path / "export.csv", tmp_path / "directory.csv"
    export.write_text(EXPORT.replace(";93;", f";{_key('2950999126111')};"), encoding="cp1252")
    directory.write_text(DIRECTORY.replace(";93;", f";{_key('2950999126111')};"), encoding="utf-8")
    cli("intake", export, "--profile", "viamedis-insured")
    cli("directory", directory, "--profile", "directory")
    cli("plan")
    checked = cli("check", "--json").json
    assert checked["errors"] == 0
    assert {each["code"] for each in checked["findings"]} <= set(RULES)
    cli("approve", "--yes")

    key.write_bytes(pem("other"))
    assert "senders.clairval.dkim_public.s1 (approved" in cli("send", expect=2).err
    key.write_text("no key")
    assert "[[senders]] clairval: dkim_key: " in cli("send", expect=2).err
    assert sink.accepted == []

    key.write_bytes(pem("rsa"))
    moved = keys / "moved.pem"
    key.rename(moved)
    settings.write_text(settings.read_text(encoding="utf-8").replace("dkim.pem", "moved.pem"), encoding="utf-8")
    cli("send", "--wait")
    ((_, raw),) = sink.accepted
    record = load_signers(load(cli.campaign, environment={}), cli.campaign)["clairval"].keys[0].record
    assert dkim.verify(raw, dnsfunc=lambda name, timeout=5: record.encode())
    database = (cli.campaign / "campaign.db").read_bytes()
    assert b"PRIVATE KEY" not in database
    assert b"moved.pem" not in database
    assert str(keys).encode() not in database
