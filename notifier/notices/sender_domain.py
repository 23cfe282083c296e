"""What the DNS must say of a sender's domain, or its mail is refused or taken for phishing (DOMAIN D4, D5). Pure.

SPF (RFC 7208) of the return path's domain, DKIM (RFC 6376) under our selector, DMARC (RFC 7489; its organisational
domain by the tree walk of its successor, without a list of suffixes), MX of the mailboxes that must be able to receive
(RFC 5321 5.1, null MX RFC 7505). Orange takes mail only where all three pass. What the DNS did not answer is said to be
not checked, with the reason, and is never an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from notifier.campaign import Sender
from notifier.dkim import Signer
from notifier.notices.findings import Finding
from notifier.notices.name_server import Answer, Question


@dataclass(frozen=True, slots=True)
class DomainReport:
    """What was found for one sender. ``checked``: topics on which the DNS answered; ``not_checked``: topic → why."""

    sender: str
    domain: str
    findings: tuple[Finding, ...] = ()
    checked: tuple[str, ...] = ()
    not_checked: Mapping[str, str] = field(default_factory=dict)


def return_domain(sender: Sender) -> str:
    """Where returned mail goes: what SPF is asked of."""
    return (sender.bounce_domain or sender.from_domain).lower()


def questions(sender: Sender, signer: Signer | None) -> Iterator[Question]:
    """All that has to be asked for this sender."""
    back = return_domain(sender)
    yield back, "TXT"
    for selector in _selectors(sender, signer):
        yield f"{selector}._domainkey.{sender.from_domain}", "TXT"
    for domain in (sender.from_domain, back):
        for name in _walk(domain):
            yield f"_dmarc.{name}", "TXT"
    for domain in (back, _domain(sender.reply_to)):
        for kind in ("MX", "A", "AAAA"):
            yield domain, kind


def judge(sender: Sender, signer: Signer | None, answers: Mapping[Question, Answer]) -> DomainReport:
    """Findings from the answers to :func:`questions`."""
    view = _View(sender, signer, answers)
    found: list[Finding] = []
    checked, not_checked = [], {}
    for topic, rules in (("SPF", _spf), ("DKIM", _dkim), ("DMARC", _dmarc), ("MX", _mx)):
        try:
            found += rules(view)
            checked.append(topic)
        except _NoAnswer as error:
            not_checked[topic] = str(error)
    for why in sorted(set(not_checked.values())):
        topics = ", ".join(topic for topic in not_checked if not_checked[topic] == why)
        text = f"{topics} of {sender.from_domain} not checked: {why}; look at it from a machine that has DNS"
        found.append(Finding("dns-not-checked", view.of("from_address"), text, "warning"))
    return DomainReport(sender.code, sender.from_domain, tuple(found), tuple(checked), not_checked)


class _NoAnswer(Exception):
    """The DNS did not answer; the text says why."""


@dataclass(frozen=True, slots=True)
class _View:
    sender: Sender
    signer: Signer | None
    answers: Mapping[Question, Answer]

    def records(self, name: str, kind: str) -> tuple[str, ...]:
        answer = self.answers.get((name, kind), Answer(fault="it was not asked"))
        if answer.fault:
            raise _NoAnswer(answer.fault)
        return answer.values

    def of(self, setting: str) -> str:
        return f"[[senders]] {self.sender.code}: {setting}"

    @property
    def back_setting(self) -> str:
        return "bounce_domain" if self.sender.bounce_domain else "from_address"


def _spf(view: _View) -> list[Finding]:
    domain, where = return_domain(view.sender), view.of(view.back_setting)
    records = [text for text in view.records(domain, "TXT") if text.lower().split(" ")[0] == "v=spf1"]
    if not records:
        text = f'{domain} has no SPF record: publish a TXT "v=spf1 … -all" that names the relay'
        return [Finding("spf-missing", where, text)]
    if len(records) > 1:
        text = f"{domain} has {len(records)} SPF records, which is an error (RFC 7208 4.5): make one of them"
        return [Finding("spf-several", where, text)]
    terms = records[0].lower().split()[1:]
    if {"+all", "all"} & set(terms):
        return [Finding("spf-open", where, f"{domain} lets everybody send in its name: end its SPF record in -all")]
    if terms == ["-all"]:
        text = f"{domain} says in its SPF record that it sends no mail: name the relay there"
        return [Finding("spf-nobody", where, text)]
    if not ({"-all", "~all"} & set(terms) or any(term.startswith("redirect=") for term in terms)):
        text = f"the SPF record of {domain} forbids nobody anything: end it in -all or ~all"
        return [Finding("spf-weak", where, text, "warning")]
    return []


def _dkim(view: _View) -> list[Finding]:
    sender, found = view.sender, []
    if not _selectors(sender, view.signer):
        text = "nothing says under which selector this mail is signed: ask whoever runs the relay, and write it down"
        return [Finding("dkim-unknown", view.of("dkim_selector"), text, "warning")]
    ours = {key.selector: key for key in view.signer.keys} if view.signer else {}
    for selector in _selectors(sender, view.signer):
        name = f"{selector}._domainkey.{sender.from_domain}"
        key = ours.get(selector)
        where = view.of(key.setting if key else "dkim_selector")
        records = [text for text in view.records(name, "TXT") if "p" in _tags(text)]
        publish = f"publish the TXT record {name}" + (f' "{key.record}"' if key else ", or correct the selector")
        if not records:
            found.append(Finding("dkim-record", where, f"there is no DKIM key at {name}: {publish}"))
        elif len(records) > 1:
            found.append(Finding("dkim-record", where, f"there are {len(records)} DKIM keys at {name}: leave one"))
        elif not (tags := _tags(records[0]))["p"]:
            found.append(Finding("dkim-record", where, f"the DKIM key at {name} is revoked (p= is empty): {publish}"))
        elif key and tags["p"] != _tags(key.record)["p"]:
            found.append(Finding("dkim-record", where, f"another DKIM key than ours stands at {name}: {publish}"))
        elif "y" in tags.get("t", "").split(":"):
            text = f"the DKIM key at {name} says it is a test (t=y): take that out, or signatures count for nothing"
            found.append(Finding("dkim-testing", where, text, "warning"))
    return found


def _dmarc(view: _View) -> list[Finding]:
    sender, where = view.sender, view.of("from_address")
    domain, back = sender.from_domain, return_domain(sender)
    there = [(name, records) for name in _walk(domain) if (records := _dmarc_records(view, name))]
    if not there:
        text = f'{domain} has no DMARC record: publish a TXT at _dmarc.{domain}, "v=DMARC1; p=quarantine"'
        return [Finding("dmarc-missing", where, text)]
    name, records = there[0]
    if len(records) > 1:
        text = f"_dmarc.{name} holds {len(records)} DMARC records, which count as none (RFC 7489 6.6.3): leave one"
        return [Finding("dmarc-several", where, text)]
    tags = _tags(records[0])
    policy = tags.get("sp" if name != domain and "sp" in tags else "p", "").lower()
    found = []
    if policy not in {"none", "quarantine", "reject"}:
        found.append(Finding("dmarc-missing", where, f"the DMARC record at _dmarc.{name} has no policy: write p="))
    elif policy == "none":
        text = f"the DMARC policy of {domain} is none: look-alikes of this notice will come, p=quarantine stops them"
        found.append(Finding("dmarc-none", where, text, "warning"))
    strict = tags.get("aspf", "r").lower() == "s"
    is_aligned = back == domain or (not strict and _organisation(view, back) == there[-1][0])
    if not is_aligned:
        text = f"the return path's domain {back} is not aligned with {domain}: use a sub-domain of it"
        if not _selectors(sender, view.signer):
            found.append(Finding("dmarc-alignment", view.of(view.back_setting), f"{text}, or sign with DKIM"))
        else:
            text += "; DMARC then hangs on DKIM alone"
            found.append(Finding("dmarc-alignment", view.of(view.back_setting), text, "warning"))
    return found


def _mx(view: _View) -> list[Finding]:
    found = []
    mailboxes = {view.back_setting: return_domain(view.sender), "reply_to": _domain(view.sender.reply_to)}
    for setting, domain in mailboxes.items():
        where, exchanges = view.of(setting), view.records(domain, "MX")
        if exchanges and all(exchange.split()[-1] == "." for exchange in exchanges):
            text = f"{domain} says that it takes no mail (null MX): nobody could answer, and returns would be lost"
            found.append(Finding("mx-null", where, text))
        elif not exchanges and not (view.records(domain, "A") or view.records(domain, "AAAA")):
            text = f"{domain} has no MX record and no address: mail to it cannot arrive; publish an MX record"
            found.append(Finding("mx-missing", where, text))
        elif not exchanges:
            text = f"{domain} has no MX record, only an address: some servers refuse such a sender; publish one"
            found.append(Finding("mx-missing", where, text, "warning"))
    return found


def _selectors(sender: Sender, signer: Signer | None) -> Sequence[str]:
    if signer is not None:
        return [key.selector for key in signer.keys]
    return [sender.dkim_selector] if sender.dkim_selector else []


def _dmarc_records(view: _View, name: str) -> list[str]:
    records = view.records(f"_dmarc.{name}", "TXT")
    return [text for text in records if _tags(text).get("v", "").upper() == "DMARC1"]


def _organisation(view: _View, domain: str) -> str:
    """The highest domain above it that has a DMARC record; itself, where none has."""
    return next((name for name in reversed(_walk(domain)) if _dmarc_records(view, name)), domain)


def _walk(domain: str) -> list[str]:
    """The domain and those above it, down to two labels, at most eight (the tree walk's limit)."""
    labels = domain.split(".")
    return [".".join(labels[start:]) for start in range(max(0, len(labels) - 8), max(1, len(labels) - 1))]


def _tags(text: str) -> dict[str, str]:
    """``v=DKIM1; p=…`` as tags (RFC 6376 3.2)."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): "".join(value.split()) for name, _, value in pairs if name.strip()}


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()
