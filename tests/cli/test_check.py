"""`check` on the command line: findings with file and line, the DNS and its silence."""

from __future__ import annotations

import json

import pytest

from tests.notices.zone import SILENT, name_server

pytestmark = pytest.mark.thorough

DOMAIN, BACK = "mutuelle-clairval.example", "retours.mutuelle-clairval.example"
ZONE = {
    (BACK, "TXT"): ["v=spf1 ip4:192.0.2.1 -all", "v=spf1 -all"],
    (f"_dmarc.{DOMAIN}", "TXT"): ["v=DMARC1; p=reject"],
    (DOMAIN, "MX"): ["10 mx.example."],
    (BACK, "MX"): ["0 ."],
}


def test_check_asks_the_dns_and_tells_where_to_write(run, folder, monkeypatch):
    with name_server(ZONE) as server:
        monkeypatch.setenv("NOTIFIER_DNS__SERVER", server)
        body = json.loads(run("check", "--json", expect=2).stdout)
        words = run("check", expect=2).stdout
    rows = (folder / "campaign.toml").read_text(encoding="utf-8").split("\n")
    found = {each["code"]: each for each in body["findings"]}
    assert {code for code, each in found.items() if each["severity"] == "error"} == {"spf-several", "mx-null"}
    for code in ("spf-several", "mx-null"):
        assert found[code]["file"] == "campaign.toml"
        assert "bounce_domain" in rows[found[code]["line"] - 1]
    assert "dkim-unknown" in found
    assert f"campaign.toml, line {found['mx-null']['line']}: [[senders]] clairval: bounce_domain: " in words
    assert body["domains"][0]["checked"] == ["SPF", "DKIM", "DMARC", "MX"]


def test_a_silent_dns_is_said_and_blocks_nothing(run, monkeypatch):
    with name_server({}, SILENT) as server:
        monkeypatch.setenv("NOTIFIER_DNS__SERVER", server)
        monkeypatch.setenv("NOTIFIER_DNS__SECONDS", "0.2")
        monkeypatch.setenv("NOTIFIER_RELAY__HOST", "")
        body = json.loads(run("check", "--json", expect=2).stdout)
    assert [each["code"] for each in body["findings"] if each["severity"] == "error"] == ["blank"]  # the relay's host
    assert "dns-not-checked" in {each["code"] for each in body["findings"]}
    assert "within 0.2 s" in body["domains"][0]["not_checked"]["DMARC"]


def test_a_samples_domain_is_not_asked_about(run, monkeypatch):
    monkeypatch.setenv("NOTIFIER_RELAY__HOST", "")
    body = json.loads(run("check", "--json", expect=2).stdout)
    assert set(body["domains"][0]["not_checked"].values()) == {"a sample's domain is invented"}
    [blank] = [each for each in body["findings"] if each["severity"] == "error"]
    assert (blank["code"], blank["file"], blank["line"]) == ("blank", "NOTIFIER_RELAY__HOST", 0)


def test_a_dkim_key_that_is_no_good_is_told_with_its_line_and_does_not_stop_status(run, folder):
    path = folder / "campaign.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("bounce_domain", 'dkim_key = "notes"\ndkim_selector = "s1"\nbounce_domain'), "utf-8")
    (folder / "notes").write_text("nothing")
    (folder / "notes").chmod(0o600)
    body = json.loads(run("check", "--json", expect=2).stdout)
    [found] = [each for each in body["findings"] if each["code"] == "dkim-key"]
    assert path.read_text(encoding="utf-8").split("\n")[found["line"] - 1] == 'dkim_key = "notes"'
    run("status", expect=(0, 1))
