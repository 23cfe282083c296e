"""What real replies mean (DOMAIN D2, D5). The words are the servers' own; the addresses are invented."""

from __future__ import annotations

import re._constants as sre_constants
import re._parser as sre_parser
from pathlib import Path

import pytest

from notifier.delivery.outcomes import Kind, Phase, classify, in_doubt, lost, timed_out
from notifier.delivery.replies import load_rules
from notifier.delivery.rules import READ, rulebook
from notifier.errors import SettingsError
from tests.delivery.real_replies import REPLIES

RULES = load_rules(Path("no campaign here"))
KINDS = {
    "accepted": Kind.ACCEPTED, "refused": Kind.REFUSED, "deferred": Kind.DEFERRED, "ours": Kind.OURS,
    "wait": Kind.PROVIDER_WAIT, "throttle": Kind.PROVIDER_WAIT, "close": Kind.PROVIDER_WAIT, "in_doubt": Kind.IN_DOUBT,
}  # fmt: skip


def judged(phase, code, text, provider="other", rules=RULES):
    return classify(Phase(phase), code, text, rules=rules, provider=provider)


@pytest.mark.parametrize(
    ("provider", "phase", "code", "text", "action"), REPLIES, ids=[f"{r[0]}-{r[1]}-{r[2]}-{r[3][:24]}" for r in REPLIES]
)
def test_a_reply(provider, phase, code, text, action):
    outcome = judged(phase, code, text, provider)
    assert outcome.kind is KINDS[action]
    if outcome.verdict:
        assert (outcome.verdict.action, bool(outcome.verdict.why)) == (action, True)
    if action == "close":
        assert outcome.verdict.seconds >= 3600
    assert (outcome.phase, outcome.code, outcome.text) == (phase, code, text), "the server's words are kept"


def test_there_are_enough_of_them_and_no_rule_is_idle():
    assert len(REPLIES) >= 150
    used = {judged(*reply[1:4], reply[0]).verdict for reply in REPLIES}
    idle = [rule.verdict.why for rule in RULES.replies if rule.verdict not in used]
    assert idle == []


@pytest.mark.parametrize("address", ["spam@a.example", "Rate@a.example", "cabinet@black-optique.example"])
@pytest.mark.parametrize("words", [
    "<{}>: Recipient address rejected: User unknown in local recipient table", "5.1.1 <{}>: user unknown",
])  # fmt: skip
def test_an_address_is_no_word_of_the_servers(address, words):
    """An unknown mailbox goes to the post, whatever it is called; its echo must not be taken for a verdict on us."""
    text = words.format(address.lower())
    outcome = classify(Phase.RCPT, 550, text, rules=RULES, recipient=address)
    assert (outcome.kind, outcome.text) == (Kind.REFUSED, text)


def test_an_address_of_theirs_is():
    text = "mail refused, write to abuse@provider.example"
    outcome = classify(Phase.RCPT, 550, text, rules=RULES, recipient="camille@provider.example")
    assert outcome.kind is Kind.PROVIDER_WAIT


def test_the_enhanced_code_is_kept_apart():
    assert judged("rcpt", 550, "5.1.1 no\n5.1.1 really").enhanced == "5.1.1"
    assert judged("rcpt", 550, "192.0.2.1 is blocked").enhanced == ""


# -- what no rule may change: a campaign whose rules call everything an address that is bad, or ours -------------------


@pytest.fixture(params=["refused", "ours"])
def mad(request):
    return rulebook({"provider": {}, "replies": [{"action": request.param, "why": "mad"}]}, "mad.toml")


def test_five_seven_is_never_an_address(mad):
    for rules in (RULES, mad):
        for detail in range(700):
            for phase in (Phase.RCPT, Phase.DATA, Phase.FINAL):
                assert judged(phase, 550, f"5.7.{detail} user unknown", rules=rules).kind is not Kind.REFUSED


def test_only_a_reply_after_the_dot_accepts(mad):
    for rules in (RULES, mad):
        for phase in Phase:
            for code in range(200, 300):
                assert (judged(phase, code, "ok", rules=rules).kind is Kind.ACCEPTED) == (phase is Phase.FINAL)
            for code in (*range(-1, 200), *range(300, 700)):
                assert judged(phase, code, "ok", rules=rules).kind is not Kind.ACCEPTED


def test_no_temporary_reply_is_for_ever(mad):
    for rules in (RULES, mad):
        for phase in Phase:
            for code in range(400, 500):
                assert judged(phase, code, "5.1.1 user unknown", rules=rules).kind in (
                    Kind.DEFERRED,
                    Kind.PROVIDER_WAIT,
                )


def test_nobody_s_address_is_bad_before_it_was_named(mad):
    for rules in (RULES, mad):
        for phase in (Phase.GREETING, Phase.EHLO, Phase.STARTTLS, Phase.AUTH, Phase.MAIL):
            for code in range(500, 600):
                assert judged(phase, code, "OFR_416 5.1.1 user unknown", rules=rules).kind is not Kind.REFUSED


def test_without_a_reply():
    assert lost(Phase.DATA).kind is Kind.LOST and timed_out(Phase.RCPT).kind is Kind.DEFERRED
    assert in_doubt("x").kind is Kind.IN_DOUBT


# -- the file ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"action": "perhaps"}, "perhaps"),
        ({"action": "wait", "word": "x"}, "no such condition: word"),
        ({"action": "wait", "words": "("}, "number 1"),
        ({"action": "wait", "codes": [250]}, "not 250"),
        ({"action": "wait", "phases": ["dot"]}, "no such phase: dot"),
        ({"action": "wait", "providers": ["oranje"]}, "no such provider: oranje"),
        ({"action": "wait", "enhanced": ["5.1.1"]}, "enhanced codes are written"),
        ({"why": "no action"}, "action"),
    ],
)
def test_a_rule_that_cannot_be_is_an_error_that_names_it(body, told):
    with pytest.raises(SettingsError, match=r"own\.toml.*" + told):
        rulebook({"provider": {}, "replies": [body]}, "own.toml")


def test_a_campaign_has_rules_of_its_own(tmp_path):
    (tmp_path / "data").mkdir()
    text = "[provider.orange]\ndomains = ['orange.fr']\n[[replies]]\nwords = 'zzz'\naction = 'refused'\nwhy = 'z'\n"
    (tmp_path / "data" / "providers.toml").write_text(text)
    rules = load_rules(tmp_path)
    assert judged("rcpt", 554, "zzz", rules=rules).kind is Kind.REFUSED
    assert judged("rcpt", 550, "5.1.1 unknown", rules=rules).kind is Kind.DEFERRED, "no rule knows it: later"
    (tmp_path / "data" / "providers.toml").write_text("[provider")
    with pytest.raises(SettingsError, match=r"providers\.toml"):
        load_rules(tmp_path)


def test_company_domains_sit_on_the_servers_of_a_provider():
    hosts = {
        "aspmx.l.google.com.": "gmail", "pharmacie.mail.protection.outlook.com": "microsoft365",
        "hotmail-com.olc.protection.outlook.com": "microsoft", "mx1.mail.ovh.net": "ovh", "notgoogle.com": "other",
        "mx.pharmacie.example": "other", "SMTP-IN.ORANGE.FR": "orange",
    }  # fmt: skip
    assert {host: RULES.of_mx(host) for host in hosts} == hosts


# -- however long a reply is ------------------------------------------------------------------------------------------


def repeats(parsed):
    """(least, most) of each repetition in a parsed pattern, however deep."""
    for operation, about in parsed:
        if operation in (sre_constants.MAX_REPEAT, sre_constants.MIN_REPEAT):
            yield about[0], about[1]
        for part in about if isinstance(about, tuple | list) else (about,):
            for inner in part if isinstance(part, list) else (part,):
                if isinstance(inner, sre_parser.SubPattern):
                    yield from repeats(inner)


def test_no_rule_looks_further_than_it_says():
    """An unbounded repetition behind a word that may stand anywhere makes a search quadratic."""
    assert list(repeats(sre_parser.parse("a(?:b|c{2,9}(d*))"))) == [(2, 9), (0, sre_constants.MAXREPEAT)]
    patterns = [p.pattern for rule in RULES.replies for p in (rule.words, rule.unless) if p is not None]
    assert len(patterns) > 30
    unbounded = [p for p in patterns if any(most > 100 for _, most in repeats(sre_parser.parse(p)))]
    assert unbounded == []


def test_rules_read_the_beginning_of_a_reply():
    """A campaign's own rules may be anything; what they look at is bounded."""
    raw = {"provider": {"other": {}}, "replies": [{"codes": [5], "words": "mailbox full", "action": "wait"}]}
    rules = rulebook(raw, "here")
    assert READ <= 2048
    assert judged("rcpt", 550, "x" * (READ - 12) + "mailbox full", rules=rules).kind is Kind.PROVIDER_WAIT
    text = "x" * (READ - 11) + "mailbox full"
    outcome = judged("rcpt", 550, text, rules=rules)
    assert (outcome.kind, outcome.text) == (Kind.DEFERRED, text), "the words are kept whole"


def test_what_an_address_takes_of_a_reply_is_not_counted():
    """Its echo is taken out first: cut in the middle, its beginning would be a word of the server's."""
    text = "x" * (READ - 4) + "spam@provider.example"
    assert classify(Phase.RCPT, 550, text, rules=RULES, recipient="spam@provider.example").kind is Kind.REFUSED
