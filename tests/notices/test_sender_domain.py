"""What the DNS says of a sender's domain, asked of a real name server: right, missing, contradictory, silent."""

from __future__ import annotations

import asyncio

import pytest

from notifier.campaign import DnsSection, load
from notifier.dkim import load_signer
from notifier.errors import SettingsError
from notifier.notices.name_server import ask
from notifier.notices.sender_domain import DomainReport, judge, questions
from tests.delivery.keys import with_keys
from tests.notices.zone import FAILS, SILENT, Zone, name_server

DOMAIN, BACK = "mutuelle-clairval.example", "retours.mutuelle-clairval.example"
KEY = f"s1._domainkey.{DOMAIN}"
SPF, DMARC, MX = (BACK, "TXT"), (f"_dmarc.{DOMAIN}", "TXT"), (DOMAIN, "MX")


@pytest.fixture
def signed(settings, tmp_path):
    """The sender with a key of its own, and who signs for it."""
    sender = with_keys(settings, tmp_path, dkim_key="rsa").senders[0]
    return sender, load_signer(sender, tmp_path)


@pytest.fixture
def right(signed) -> dict[tuple[str, str], list[str]]:
    return {
        SPF: ["v=spf1 ip4:192.0.2.1 -all", "something-else=1"],
        (KEY, "TXT"): [signed[1].keys[0].record],
        DMARC: ["v=DMARC1; p=quarantine; rua=mailto:x@y.example"],
        MX: ["10 mx.example."],
        (BACK, "MX"): ["10 mx.example."],
    }


def look(zone: Zone, sender, signer, mood: str = "", seconds: float = 5) -> DomainReport:
    with name_server(zone, mood) as server:
        answers = asyncio.run(ask(questions(sender, signer), DnsSection(server=server, seconds=seconds)))
    return judge(sender, signer, answers)


def test_a_domain_in_order_has_no_finding(right, signed):
    report = look(right, *signed)
    assert report.findings == ()
    assert (report.checked, report.not_checked) == (("SPF", "DKIM", "DMARC", "MX"), {})


CASES = [
    ("spf-missing", {SPF: ["something-else=1"]}, "error"),
    ("spf-missing", {SPF: []}, "error"),
    ("spf-several", {SPF: ["v=spf1 -all", "v=spf1 ip4:192.0.2.1 -all"]}, "error"),
    ("spf-open", {SPF: ["v=spf1 ip4:192.0.2.1 +all"]}, "error"),
    ("spf-nobody", {SPF: ["v=spf1 -all"]}, "error"),
    ("spf-weak", {SPF: ["v=spf1 ip4:192.0.2.1 ?all"]}, "warning"),
    ("dkim-record", {(KEY, "TXT"): []}, "error"),
    ("dkim-record", {(KEY, "TXT"): ["v=DKIM1; k=rsa; p="]}, "error"),
    ("dkim-record", {(KEY, "TXT"): ["v=DKIM1; k=rsa; p=TUlJQkl"]}, "error"),
    ("dkim-record", {(KEY, "TXT"): ["v=DKIM1; p=AAAA", "v=DKIM1; p=BBBB"]}, "error"),
    ("dmarc-missing", {DMARC: []}, "error"),
    ("dmarc-missing", {DMARC: ["v=DMARC1; rua=mailto:x@y.example"]}, "error"),
    ("dmarc-several", {DMARC: ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}, "error"),
    ("dmarc-none", {DMARC: ["v=DMARC1; p=none"]}, "warning"),
    ("dmarc-alignment", {DMARC: ["v=DMARC1; p=reject; aspf=s"]}, "warning"),
    ("mx-null", {MX: ["0 ."]}, "error"),
    ("mx-null", {(BACK, "MX"): ["0 ."]}, "error"),
    ("mx-missing", {MX: []}, "error"),
    ("mx-missing", {MX: [], (DOMAIN, "A"): ["192.0.2.1"]}, "warning"),
    ("mx-missing", {(BACK, "MX"): [], (BACK, "AAAA"): ["2001:db8::1"]}, "warning"),
]


@pytest.mark.parametrize(("code", "change", "severity"), CASES)
def test_what_is_missing_or_contradicts_itself_is_found(right, signed, code, change, severity):
    report = look({**right, **change}, *signed)
    assert [(each.code, each.severity) for each in report.findings] == [(code, severity)]
    assert report.findings[0].where.startswith("[[senders]] clairval: ")
    assert report.not_checked == {}


def test_our_own_record_is_told_where_it_is_missing(right, signed):
    [found] = look({**right, (KEY, "TXT"): []}, *signed).findings
    assert signed[1].keys[0].record in found.text
    assert KEY in found.text


def test_a_key_in_testing_is_a_warning(right, signed):
    record = signed[1].keys[0].record.replace("k=rsa;", "k=rsa; t=s:y;")
    assert [each.code for each in look({**right, (KEY, "TXT"): [record]}, *signed).findings] == ["dkim-testing"]


def test_a_record_above_the_domain_holds_for_it(right, signed):
    """RFC 7489 6.6.3: the organisation's policy, with sp= for what is below it."""
    sender = signed[0].model_copy(update={"from_address": f"x@info.{DOMAIN}"})
    zone = {**right, (f"s1._domainkey.info.{DOMAIN}", "TXT"): right[(KEY, "TXT")]}
    assert look(zone, sender, _signer_of(signed, sender)).findings == ()
    below = {**zone, DMARC: ["v=DMARC1; p=reject; sp=none"]}
    assert [each.code for each in look(below, sender, _signer_of(signed, sender)).findings] == ["dmarc-none"]


def _signer_of(signed, sender):
    return type(signed[1])(sender.from_domain, signed[1].keys)


def test_a_foreign_return_path_hangs_on_dkim_or_is_an_error(right, signed):
    foreign = {**right, ("bounces.esp.example", "TXT"): ["v=spf1 ip4:192.0.2.1 -all"]}
    foreign[("bounces.esp.example", "MX")] = ["10 mx.esp.example."]
    sender = signed[0].model_copy(update={"bounce_domain": "bounces.esp.example"})
    [found] = look(foreign, sender, signed[1]).findings
    assert (found.code, found.severity) == ("dmarc-alignment", "warning")
    bare = sender.model_copy(update={"dkim_key": None, "dkim_selector": ""})
    told = {each.code: each.severity for each in look(foreign, bare, None).findings}
    assert told == {"dmarc-alignment": "error", "dkim-unknown": "warning"}


def test_a_selector_without_a_key_is_the_relays(right, signed):
    sender = signed[0].model_copy(update={"dkim_key": None, "dkim_selector": "relay"})
    [found] = look(right, sender, None).findings
    assert (found.code, found.where) == ("dkim-record", "[[senders]] clairval: dkim_selector")
    zone = {**right, (f"relay._domainkey.{DOMAIN}", "TXT"): ["v=DKIM1; p=AAAA"]}
    assert look(zone, sender, None).findings == ()


@pytest.mark.parametrize(("mood", "why"), [(FAILS, "could not say"), (SILENT, "within 0.2 s")])
def test_no_answer_is_not_checked_and_never_an_error(right, signed, mood, why):
    report = look(right, *signed, mood=mood, seconds=0.2)
    assert set(report.not_checked) == {"SPF", "DKIM", "DMARC", "MX"}
    assert all(why in reason for reason in report.not_checked.values())
    [found] = report.findings
    assert (found.code, found.severity) == ("dns-not-checked", "warning")
    assert report.checked == ()


def test_what_fails_alone_leaves_the_rest_checked(right, signed):
    report = look({**right, DMARC: [FAILS]}, *signed)
    assert report.checked == ("SPF", "DKIM", "MX")
    assert set(report.not_checked) == {"DMARC"}


@pytest.mark.parametrize("server", ["dns.example", "127.0.0.1:port", "a:b:c"])
def test_a_server_that_is_no_address_is_told(signed, server):
    with pytest.raises(SettingsError, match=r"dns\.server"):
        asyncio.run(ask(questions(*signed), DnsSection(server=server)))


def test_the_settings_know_a_server(folder):
    loaded = load(folder, environment={"NOTIFIER_DNS__SERVER": "127.0.0.1:5353", "NOTIFIER_DNS__SECONDS": "1.5"})
    assert (loaded.dns.server, loaded.dns.seconds) == ("127.0.0.1:5353", 1.5)
