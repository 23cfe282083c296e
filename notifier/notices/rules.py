"""The rules of `check`, each with its code. Nothing is found under a code that is not here.

`docs/check-rules.md` is made from this table: ``python -m notifier.notices.rules > docs/check-rules.md``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """``blocks``: whether it is an error that blocks `approve` (yes, no, or both by the case). ``source``: where the
    rule comes from; ``found``: when it speaks; ``write``: what mends it."""

    code: str
    blocks: str
    source: str
    found: str
    write: str


@dataclass(frozen=True, slots=True)
class Chapter:
    """Rules on one thing."""

    title: str
    rules: tuple[Rule, ...]


def _rules(*rows: tuple[str, str, str, str, str]) -> tuple[Rule, ...]:
    return tuple(Rule(*row) for row in rows)


A2 = "Art. 34(2); CNIL SAN-2026-001"
PHISHING = "resist phishing"

CHAPTERS = (
    Chapter(
        "What the law asks of the text",
        _rules(
            ("contact", "yes", "Art. 33(3)(b)", "the notice lacks a contact", "print it in the notice itself"),
            (
                "helpline",
                "both",
                "Art. 33(3)(b)",
                "no number for an audience, or another's",
                "give that audience's own",
            ),
            ("nature", "yes", A2, "who was attacked, when, or how is missing", "print the incident's facts"),
            ("exposed", "yes", A2, "a category is not named to its reader", "print the labels"),
            ("not-exposed", "no", A2, "nothing says what did not come out", "ask the operator for a dated statement"),
            ("consequences", "yes", "Art. 33(3)(c)", "a category has no concrete risk", "a full sentence on that risk"),
            ("advice", "yes", "Art. 34(2)", "a category has no action", "a list with at least one action"),
            (
                "measures",
                "yes",
                "Art. 33(3)(d)",
                "no concrete measure, or one is left out",
                "what was done, and print it",
            ),
            (
                "category",
                "yes",
                A2,
                "a category has no paragraph for this audience",
                "a [[paragraphs]] entry and its file",
            ),
            ("category-without-paragraph", "no", A2, "a category has no paragraph at all", "write one before it leaks"),
            (
                "wave",
                "yes",
                "Art. 34(2)",
                "the notice does not print what its round is for",
                "print wave.wrong, right, news",
            ),
            (
                "language",
                "no",
                "Art. 12(1)",
                "no texts in a reader's language",
                "translate, or accept the campaign's own",
            ),
        ),
    ),
    Chapter(
        "Templates",
        _rules(
            (
                "template",
                "yes",
                "",
                "a template does not compile: unknown variable, open block, missing file",
                "mend it",
            ),
            ("forbidden-field", "yes", "minimisation", "a template prints what is never printed", "take it out"),
            ("person", "yes", "Art. 34(1)", "the notice does not say that it is for this person", "print it"),
            ("number", "yes", "NIR, IBAN, RIB are never printed", "a number of that shape", "take it out"),
        ),
    ),
    Chapter(
        "How it looks, in HTML and in text",
        _rules(
            ("link", "yes", PHISHING, "a link", "the official address as plain text, to be typed"),
            ("remote-load", "yes", "no tracking", "something is loaded, or an http address named", "take it out"),
            ("form", "yes", PHISHING, "a form, a field or a button", "take it out"),
            ("size", "yes", "Gmail cuts at 102 kB", "HTML of 100 kB or more", "shorten the notice"),
            ("lang", "yes", "RGAA 8.3", "<html> or the first element lacks its language", 'write lang="…" on both'),
            ("title", "yes", "RGAA 8.5", "no <title>", "write one into the layout"),
            ("charset", "yes", "", "no charset", 'write <meta charset="utf-8">'),
            ("heading", "yes", "RGAA 9.1", "no heading", 'begin the text with a line "# …"'),
            ("table-role", "yes", "RGAA 5.3", "a layout table that looks like data", 'write role="presentation"'),
            ("justified", "yes", "readability", "justified text", "write text-align: left"),
            (
                "parity",
                "yes",
                "RFC 2046 5.1.4",
                "text and HTML do not say the same",
                "put words into templates, not the layout",
            ),
            ("contrast", "yes", "WCAG 1.4.3", "contrast below 4.5, or colours half given", "darker text, both colours"),
            ("text-size", "yes", "readability", "text below 16 px", "16 px or more"),
            ("subject-length", "yes", "", "a subject of more than 110 characters", "shorten it"),
            ("subject-sender", "yes", PHISHING, "the subject does not name the sender", "print sender.brand"),
            ("subject-person", "yes", "mailboxes are shared", "the subject does not say for whom", "print person.name"),
            ("subject-alarm", "yes", PHISHING, "the subject sounds an alarm", "say it plainly"),
            ("subject-private", "yes", "lock screens", "the subject tells what leaked", "leave that to the text"),
            ("subject-capitals", "yes", PHISHING, "the subject shouts", "write small letters"),
            ("subject-symbol", "yes", PHISHING, "a symbol or an emoji in the subject", "leave it out"),
        ),
    ),
    Chapter(
        "Facts of campaign.toml",
        _rules(
            ("blank", "yes", "", "a setting or a fact is missing, or still a placeholder", "the fact"),
            ("dates-contradict", "yes", "", "occurred, discovered, told out of order or to come", "the right days"),
            (
                "service",
                "both",
                "dated facts",
                "a public service has ended, or nobody looked for a year",
                "dial, and date",
            ),
            ("complaint-over", "yes", "dated facts", "complaint_until has passed", "the way that is open now"),
            (
                "not-exposed-outdated",
                "yes",
                "dated facts",
                "its author said more since",
                "what still holds, as of that day",
            ),
            (
                "notify-by-passed",
                "yes",
                "Art. 34(1), without undue delay",
                "notify_by has passed",
                "a new day, or late_because",
            ),
            (
                "notify-by-missed",
                "yes",
                "Art. 34(1), without undue delay",
                "the projected end (`plan --forecast`) lies after notify_by",
                "a quicker pace, a later day, or late_because",
            ),
            (
                "notify-by-accepted",
                "no",
                "Art. 34(1)",
                "notify_by has passed or will be missed, and late_because says why",
                "nothing",
            ),
            ("address", "yes", "RFC 5321 4.1.2", "an address or a domain that no command can carry", "name@domain"),
            ("reply-to-unread", "yes", "La Poste LPN007_405", "a no-reply address", "a mailbox that somebody reads"),
            (
                "invented-sender",
                "yes",
                "RFC 2606",
                "a real campaign writes from nobody's domain",
                "the sender's own domain",
            ),
            ("sample-relay", "yes", "", "a sample would send beyond this machine", "127.0.0.1"),
            ("drill-relay", "yes", "", "a drill without recipients would send beyond this machine", "127.0.0.1"),
            (
                "pace-unknown-provider",
                "yes",
                "",
                "a rate for a provider that data/providers.toml does not know",
                "a name that stands there",
            ),
            ("key-mode", "yes", "Art. 32", "others can read the key file", "chmod 600"),
            (
                "relay-ca-file",
                "yes",
                "[approval.md](approval.md)",
                "a relay's ca_file is missing or holds no certificate",
                "the file of its authority",
            ),
            (
                "relay-secret-mode",
                "yes",
                "Art. 32",
                "anybody can read a relay's password_file or client_key",
                "chmod 600, or 640 for a group of one service",
            ),
            ("relay-login-in-clear", "no", "Art. 32", "a login without TLS, beyond this machine", "tls = starttls"),
            ("wake-command", "no", "", "a program of [send] cannot be run", "its path; chmod +x"),
            ("key-backup", "yes", "Art. 32", "what `[key] backup` names is no copy of the key", "make one there"),
            (
                "head-not-kept",
                "no",
                "[backups.md](backups.md)",
                "the folder of the key cannot be written",
                "the right to write there",
            ),
            ("disk-space", "yes", "[backups.md](backups.md)", "what sending writes does not fit on the disk", "room"),
        ),
    ),
    Chapter(
        "The kit (the rules on texts above hold for it too)",
        _rules(
            ("kit", "yes", "", "a page of the kit does not compile", "mend it"),
            ("vague", "yes", A2, "a page says what says nothing", "what was done"),
            ("version", "yes", "", "a page does not say its version", 'include "kit/parts/version.md"'),
        ),
    ),
    Chapter(
        "DKIM keys",
        _rules(
            (
                "dkim-key",
                "yes",
                "RFC 6376, 8301, 8463",
                "a key is missing, unreadable, weak, or has no selector",
                "another",
            ),
            ("dkim-key-mode", "yes", "Art. 32", "others can read a DKIM key", "chmod 600"),
        ),
    ),
    Chapter(
        "What the DNS says (at `check` alone)",
        _rules(
            (
                "spf-missing",
                "yes",
                "RFC 7208",
                "the return path's domain has no SPF record",
                "one that names the relay",
            ),
            ("spf-several", "yes", "RFC 7208 4.5", "several SPF records", "one"),
            ("spf-open", "yes", "RFC 7208 5.1", "SPF lets everybody send", "-all"),
            ("spf-nobody", "yes", "RFC 7208", "SPF lets nobody send", "the relay"),
            ("spf-weak", "no", "RFC 7208 5.1", "SPF forbids nobody", "-all or ~all"),
            (
                "dkim-record",
                "yes",
                "RFC 6376 3.6",
                "no key, another key, a revoked one, or several",
                "the record that is told",
            ),
            ("dkim-testing", "no", "RFC 6376 3.6.1", "the key says t=y", "the record without it"),
            ("dkim-unknown", "no", "Orange", "nobody says under which selector mail is signed", "dkim_selector"),
            ("dmarc-missing", "yes", "RFC 7489; Orange", "no DMARC record, or none with a policy", "p=quarantine"),
            ("dmarc-several", "yes", "RFC 7489 6.6.3", "several DMARC records", "one"),
            ("dmarc-none", "no", "look-alikes", "the policy is none", "p=quarantine"),
            (
                "dmarc-alignment",
                "both",
                "RFC 7489 3.1",
                "the return path is not the From domain's",
                "a sub-domain of it",
            ),
            ("mx-null", "yes", "RFC 7505", "Reply-To or return path takes no mail", "another mailbox or domain"),
            ("mx-missing", "both", "RFC 5321 5.1", "no MX record", "one"),
            (
                "dns-not-checked",
                "no",
                "",
                "the DNS did not answer; the reason is told",
                "check from a machine that has DNS",
            ),
        ),
    ),
    Chapter(
        "What lies in the database",
        _rules(
            ("file-held", "no", "nobody is lost (I1)", "rows are held", "`notifier status` says how to free them"),
            (
                "approved-differs",
                "yes",
                "what was approved is what goes out (I7)",
                "what is approved and waits was approved under other values",
                "set it back until that has gone out, or `approve --take-back`",
            ),
            ("shared-mailbox", "no", "nobody is guessed (I2)", "an agency's mailbox", "data/mailboxes.toml"),
            (
                "contact-of-another-sender",
                "yes",
                "nobody is guessed (I2)",
                "data of two senders meet",
                "report it as a fault",
            ),
        ),
    ),
)

RULES = {rule.code: rule for chapter in CHAPTERS for rule in chapter.rules}

_HEAD = """# The rules of `notifier check`

Made from `notifier/notices/rules.py`; do not edit (`python -m notifier.notices.rules > docs/check-rules.md`).

Each finding has a code, the file and the line where to write, and a sentence that says what. "Blocks": an error, with
which `approve` refuses; the others are warnings for the DPO's eye, and "both" depends on the case. `check --json` gives
`code`, `file`, `line`, `where`, `severity` and `text` of each. Nothing here proves that a text is good: it proves that
what the law asks for stands in the message itself, per category, in both bodies.
"""


def document() -> str:
    """docs/check-rules.md."""
    parts = [_HEAD]
    for chapter in CHAPTERS:
        rows = [
            f"| `{rule.code}` | {rule.blocks} | {rule.found} | {rule.write} | {rule.source} |".replace("<", "&lt;")
            for rule in chapter.rules
        ]
        head = "| code | blocks | found when | write | source |\n|---|---|---|---|---|"
        parts.append("\n".join([f"## {chapter.title}\n", head, *rows, ""]))
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(document())
