"""I8: whatever a server says, what is stored of it holds nothing of its recipient."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from notifier import vault
from notifier.delivery import replies
from notifier.delivery.replies import LONGEST, redacted, values
from notifier.model import Contact
from notifier.vault import NUMBER, RECIPIENT, redact

NAMES = st.text(alphabet="abcdefghijklmnopqrstuvwxyzéèêëïîôûüçœæßñøåÉÀÇŒ' -", min_size=4, max_size=18).filter(
    lambda name: len(name.strip(" '-")) >= 4 and not {"recipient", "number"} & set(re.split(r"\W", name.lower()))
)
LOCALS = st.from_regex(r"[a-z][a-z0-9._+-]{3,20}", fullmatch=True)
DOMAINS = st.from_regex(r"[a-z][a-z0-9-]{2,12}[a-z0-9]\.(example|test)", fullmatch=True)
CASES = st.sampled_from([str, str.upper, str.lower, str.title, str.swapcase, str.casefold])
NOISE = st.text(alphabet="abcXYZ 0123456789<>()[]:;,.\"'=\\\r\n\t éÜ\u00a0", max_size=30)


@given(
    name=NAMES,
    forename=NAMES,
    local=LOCALS,
    domain=DOMAINS,
    parts=st.lists(
        st.tuples(
            st.sampled_from(["address", "quoted", "xtext", "local", "untagged", "domain", "name", "forename"]),
            CASES,
            NOISE,
        ),
        min_size=1,
        max_size=6,
    ),
    latin=st.booleans(),
)
@example(
    name="aa-a ",
    forename="aaaa",
    local="a000",
    domain="aaaa.example",
    parts=[("name", str, "")],
    latin=False,
)
@example(
    name="Vasseur",
    forename="Elodie",
    local="zorro75+mutuelle",
    domain="courriel.example",
    parts=[("untagged", str, "unknown user:")],
    latin=False,
)
def test_no_reply_keeps_its_recipient(name, forename, local, domain, parts, latin):
    contact = Contact(name, forename, email=f"{local}@{domain}")
    untagged = local.partition("+")[0]
    spoken = {
        "address": contact.email,
        "quoted": f'"{local}"@{domain}',
        "xtext": f"rfc822;{local}+40{domain}",
        "local": local,
        "untagged": untagged,
        "domain": domain,
        "name": name,
        "forename": forename,
    }
    reply = "5.1.1 " + "".join(f"{noise} {case(spoken[what])} " for what, case, noise in parts)
    if latin:  # as the SMTP library hands over bytes that are no UTF-8
        reply = reply.encode("latin-1", "replace").decode("utf-8", "surrogateescape")
    stored = redacted(reply, values([contact], frozenset()))
    assert len(stored) <= LONGEST and "\n" not in stored and "\r" not in stored
    bare = stored.replace("<recipient>", "\0").replace("<number>", "\0").casefold()
    for forbidden in (contact.email, local, untagged, domain, name.strip(" '-"), forename.strip(" '-")):
        assert len(forbidden) < 4 or forbidden.casefold() not in bare  # shorter: where it stands alone (below)


@given(name=st.from_regex(r"[a-z]{2,3}", fullmatch=True).filter(lambda name: name not in {"hi", "end"}), case=CASES)
def test_a_short_name_is_found_where_it_stands_alone(name, case):
    contact = Contact(name, "", email="x@courriel.example")
    stored = redacted(f"hi {case(name)}, ({case(name)}) end", values([contact], frozenset()))
    assert stored == "hi <recipient>, (<recipient>) end"


def test_i8_a_mailbox_is_known_without_its_tag():
    """RFC 5233: who delivers zorro75+mutuelle to zorro75 answers for zorro75."""
    both = Contact("Vasseur", "Elodie", email="zorro75+mutuelle@free.fr", second_email="li+a+b@free.fr")
    forbidden = values([both], frozenset({"free.fr"}))
    assert redacted('5.1.1 unknown user: "zorro75"', forbidden) == '5.1.1 unknown user: "<recipient>"'
    assert redacted("li is no client, li+a neither", forbidden) == "<recipient> is no client, <recipient>+a neither"
    assert redacted("+ 1 spam", values([Contact("", "", email="+a@free.fr")], frozenset({"free.fr"}))) == "+ 1 spam"


def test_a_short_name_does_not_eat_words():
    assert redacted("mailbox is full", values([Contact("Li", "Al")], frozenset())) == "mailbox is full"


def test_accents_do_not_hide_a_name():
    forbidden = values([Contact("Lefèvre-Müller", "Hélène")], frozenset())
    assert redacted("no LEFEVRE, no Muller, no helene here", forbidden) == (
        "no <recipient>, no <recipient>, no <recipient> here"
    )
    assert redacted("no Lefêvre", values([Contact("LEFEVRE", "")], frozenset())) == "no <recipient>"


def test_a_listed_provider_stays_readable():
    contact = Contact("Lenoir", "Marie", email="m.lenoir@grand-public.example")
    stored = redacted("throttled by grand-public.example", values([contact], frozenset({"grand-public.example"})))
    assert stored == "throttled by grand-public.example"
    assert "grand-public" not in redacted("by grand-public.example", values([contact], frozenset()))


# -- the short ways are the long one ---------------------------------------------------------------------------------

FIGURES = st.text("0123456789ABKEabe+., -/\\\u00a0\u2011é٣\n", max_size=50)
REPLIES = st.one_of(
    st.lists(st.one_of(FIGURES, NOISE, st.sampled_from(["2.0.0 Ok: queued as 3F9A1B2C77D", "1.7506E+14", "@", "%40a"])))
    .map("".join),
    st.text(max_size=60),
)  # fmt: skip


def plainly_redacted(text: str, forbidden: tuple[str, ...]) -> str:
    """The rule itself: every pattern over every reply, every value looked for one after the other."""
    readable = text
    if not text.isascii():
        try:
            readable = replies.verbatim(text).decode()
        except UnicodeDecodeError:
            readable = replies.verbatim(text).decode("latin-1")
    line = replies._BLANKS.sub(" ", readable).strip()
    line = vault._ADDRESS.sub(RECIPIENT, line)
    for pattern in (vault._IBAN, vault._RIB, vault._NIR, vault._ROUNDED):
        line = pattern.sub(NUMBER, line)
    folded = {"".join(map(replies._plain, value)) for value in forbidden}
    present = replies._fold(line)[0]
    for value in sorted((value for value in folded if len(value) > 1 and value in present), key=len, reverse=True):
        marks = re.split(f"({RECIPIENT}|{NUMBER})", line)
        line = "".join(part if part in (RECIPIENT, NUMBER) else replies._without(part, value) for part in marks)
    return line[:LONGEST]


@given(reply=REPLIES, name=NAMES, local=LOCALS)
@example(reply="2.0.0 Ok: queued as 1 85 05 78 006 084 36", name="aaaa", local="aaaa")
@example(reply="2.0.0 Ok: queued as 1.7506E+14", name="aaaa", local="aaaa")
@example(reply="٣٣٣٣٣ 12345 ABCDEFGHIJK 12", name="aaaa", local="aaaa")
@example(reply="2.0.0 Ok: queued as AAAA", name="aaaa", local="que ued")
@example(reply=" 250\ttwo  spaces\u00a0 ", name="deux mots", local="aaaa")
def test_i8_a_reply_is_redacted_as_the_whole_rule_would(reply, name, local):
    reply = reply.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
    forbidden = values([Contact(name, "Zoé", email=f"{local}@courriel.example")], frozenset())
    assert redacted(reply, forbidden) == plainly_redacted(reply, forbidden)


@given(REPLIES)
def test_i8_a_number_is_found_as_by_every_pattern(text):
    plain = vault._ADDRESS.sub(RECIPIENT, text)
    for pattern in (vault._IBAN, vault._RIB, vault._NIR, vault._ROUNDED):
        plain = pattern.sub(NUMBER, plain)
    assert redact(text) == plain
