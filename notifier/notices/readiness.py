"""Rules on campaign.toml before anything is approved: no blank left in a real campaign, no relay beyond this machine in
a sample, no reply address that nobody reads. Pure. (Dates are in ``freshness``.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from notifier.campaign import DrillSection, Incident, Sender, Settings, Tls, WaveWords, is_loopback
from notifier.notices.encoding import mailbox_address
from notifier.notices.findings import Finding

# RFC 2606 and 6761: nobody can be written to, or from, under these.
_UNREAD = re.compile(r"^(?:no-?_?reply|do-?not-?reply|ne-?pas-?repondre|nepasrepondre|sans-?reponse)\b", re.IGNORECASE)
_BLANKS = frozenset({"", "…", "...", "?", "xxx", "todo", "tbd", "(…)"})
_INVENTED = re.compile(r"(?:^|[.@])(?:example|test|invalid|localhost)$|(?:^|[.@])example\.(?:com|net|org)$")


def check_settings(settings: Settings, *, undecided: int | None = None) -> list[Finding]:
    """Findings that name the setting as it stands in campaign.toml. ``undecided``: how many persons of the wave are
    adult dependants whose route nobody decided; None: no plan says so yet."""
    found = list(_everywhere(settings))
    if settings.drill is not None:
        found += _drill(settings, settings.drill)
    else:
        found += _sample(settings) if settings.campaign.sample else _real(settings, undecided)
    return found


def _everywhere(settings: Settings) -> Iterator[Finding]:
    if not settings.relay.host:
        yield _blank("relay.host", "name the server that takes the messages")
    if settings.relay.fallback is not None and settings.relay.fallback.rate is None:
        # `send` opens both relays before it begins: without it, nothing goes out by the first either.
        yield _blank("relay.fallback.rate", "say how many messages per second it accepts (0 = no limit)")
    for setting, access in (("relay", settings.relay), ("relay.fallback", settings.relay.fallback)):
        if access is not None and access.username and access.tls is Tls.NONE and not is_loopback(access.host):
            text = f'the password goes to {access.host} in clear, for anybody on the way to read: set tls = "starttls"'
            yield Finding("relay-login-in-clear", f"{setting}.tls", text, "warning")
    if not settings.incidents:
        yield _blank("incidents", "write an [[incidents]] block with the facts of each breach")
    if not settings.senders:
        yield _blank("senders", "write a [[senders]] block for each mutuelle that writes")
    yield from _left_open(settings)
    for sender in settings.senders:
        if _UNREAD.match(sender.reply_to):
            # La Poste refuses senders that cannot receive (LPN007_405), and persons have questions (DOMAIN D4).
            yield Finding("reply-to-unread", _of(sender, "reply_to"), "write a mailbox that somebody reads")
        for setting, address in (
            ("from_address", sender.from_address),
            ("reply_to", sender.reply_to),
            ("dpo_address", sender.dpo_address),
        ):
            try:
                mailbox_address(address)
            except ValueError:
                yield Finding("address", _of(sender, setting), "is no e-mail address: write name@domain")
        # Message-ID and return path are made of these two as they stand.
        if not sender.from_domain.isascii():
            yield Finding("address", _of(sender, "from_address"), "write its domain in ASCII (xn--…)")
        if sender.bounce_domain and not _is_domain(sender.bounce_domain):
            yield Finding("address", _of(sender, "bounce_domain"), "is no domain in ASCII: write retours.domain")


def _left_open(settings: Settings) -> Iterator[Finding]:
    """Facts whose place was kept, and never filled in: they would be printed as they stand."""
    for incident in settings.incidents:
        yield from _open_texts(f"[[incidents]] {incident.code}", incident)
    for sender in settings.senders:
        yield from _open_texts(f"[[senders]] {sender.code}", sender)
        for audience, line in sender.helplines.items():
            if line.phone.strip().casefold() in _BLANKS:
                yield _blank(_of(sender, f"helplines.{audience}.phone"), "give the telephone number")
    for name, words in settings.waves.items():
        yield from _open_texts(f"[waves.{name}]", words, separator=" ")


def _open_texts(where: str, table: Incident | Sender | WaveWords, separator: str = ": ") -> Iterator[Finding]:
    for key, value in table:
        texts = value if isinstance(value, tuple) else (value,)
        for text in texts:
            if isinstance(text, str) and text and text.strip().casefold() in _BLANKS:
                yield _blank(f"{where}{separator}{key}", f"holds {text!r}: write the fact, or take the line out")


def _is_domain(text: str) -> bool:
    try:
        return mailbox_address(f"bounces@{text}") == f"bounces@{text}"
    except ValueError:
        return False


def _sample(settings: Settings) -> Iterator[Finding]:
    """Invented persons must never be written to by a real server."""
    for setting, host in _beyond_this_machine(settings):
        text = f"a sample campaign sends to this machine only, and {host} is not it: use 127.0.0.1"
        yield Finding("sample-relay", setting, text)


def _beyond_this_machine(settings: Settings) -> list[tuple[str, str]]:
    """Setting and host of each relay that is another machine."""
    hosts = [("relay.host", settings.relay.host)]
    if settings.relay.fallback is not None:
        hosts.append(("relay.fallback.host", settings.relay.fallback.host))
    return [(setting, host) for setting, host in hosts if host and not is_loopback(host)]


def _drill(settings: Settings, drill: DrillSection) -> Iterator[Finding]:
    """A rehearsal writes to own addresses, or to a sink on this machine."""
    for setting, host in [] if drill.recipients else _beyond_this_machine(settings):
        text = f"a drill without [drill] recipients sends to this machine only, and {host} is not it"
        yield Finding("drill-relay", setting, text)
    for address in drill.recipients:
        try:
            mailbox_address(address)
        except ValueError:
            yield Finding("address", "drill.recipients", "holds what is no e-mail address: write name@domain")


def _real(settings: Settings, undecided: int | None) -> Iterator[Finding]:
    relay, pace = settings.relay, settings.pace
    if settings.campaign.notify_by is None:
        yield _blank("campaign.notify_by", "give the day by which everybody must have been written to (2024-03-01)")
    if relay.connections is None:
        yield _blank("relay.connections", "say how many sessions the relay accepts at once")
    if relay.rate is None:
        yield _blank("relay.rate", "say how many messages per second the relay accepts (0 = no limit)")
    if not pace.hours:
        yield _blank("pace.hours", 'say when to send ("08:00-20:00")')
    if pace.hotline_per_hour is None and pace.hotline_per_day is None:
        yield _blank("pace.hotline_per_hour", "say how many messages per hour (or per day) the helpline can bear")
    if settings.households.adult_dependants is None:
        whom = "`notifier plan` counts them" if undecided is None else f"{undecided} persons of this wave wait for it"
        text = f'decide: "letter" or "contract_mailbox", for adult dependants without a mailbox of their own ({whom})'
        yield _blank("households.adult_dependants", text)
    if not settings.key.backed_up:
        yield _blank("key.backed_up", "keep a copy of the key file in a safe place, then write true")
    if settings.campaign.name.startswith("("):
        yield _blank("campaign.name", "name the campaign")
    for sender in settings.senders:
        if _INVENTED.search(sender.from_domain):
            yield Finding(
                "invented-sender",
                _of(sender, "from_address"),
                f"{sender.from_domain} is nobody's domain; write from the sender's own, or set campaign.sample",
            )


def _blank(setting: str, text: str) -> Finding:
    return Finding("blank", setting, text)


def _of(sender: Sender, setting: str) -> str:
    return f"[[senders]] {sender.code}: {setting}"
