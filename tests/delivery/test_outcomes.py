"""What real replies mean (DOMAIN D2, D5). The words are the servers' own; the addresses are invented."""

from __future__ import annotations

import pytest

from notifier.delivery.outcomes import Kind, Phase, classify, in_doubt, lost, timed_out

A, D, R, P, O, Q = Kind.ACCEPTED, Kind.DEFERRED, Kind.REFUSED, Kind.PROVIDER_WAIT, Kind.OURS, Kind.IN_DOUBT  # noqa: E741

REPLIES = [
    ("final", 250, "2.0.0 Ok: queued as 4B1D2C0A", A),
    ("final", 250, "OK", A),
    # the address is bad
    ("rcpt", 550, "5.1.1 The email account that you tried to reach does not exist.", R),
    ("rcpt", 550, "5.1.1 <x@courriel.example>: Recipient address rejected: User unknown in local recipient table", R),
    ("rcpt", 550, "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", R),
    ("rcpt", 550, "5.4.1 Recipient address rejected: Access denied. AS(201806281)", R),
    ("rcpt", 550, "5.2.1 The email account that you tried to reach is disabled.", R),
    ("rcpt", 550, "Requested action not taken: mailbox unavailable", R),
    ("rcpt", 550, "No such user here", R),
    ("rcpt", 556, "5.1.10 Recipient address has null MX", R),
    ("rcpt", 521, "This host does not accept mail", R),
    ("rcpt", 551, "5.1.6 user has moved", R),
    ("rcpt", 553, "5.1.3 invalid address", R),
    ("rcpt", 550, "5.1.1 Adresse d au moins un destinataire invalide. LPN007_416", R),
    ("rcpt", 550, "5.1.1 OFR_416 unknown", R),
    ("rcpt", 554, "5.7.1 : OFR006_426 compte bloque", R),
    ("rcpt", 550, "5.6.7 address needs SMTPUTF8", R),
    ("final", 550, "5.1.1 User unknown", R),
    # policy, spam, reputation: never the address
    ("final", 550, "spam detected", P),
    ("rcpt", 550, "5.7.1 Service unavailable, Client host [192.0.2.1] blocked using Spamhaus", P),
    ("rcpt", 550, "5.7.1 user unknown, says our policy engine", P),
    ("rcpt", 553, "5.7.1 [BL21] Connections will not be accepted from 192.0.2.1", P),
    ("rcpt", 550, "5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent (S3150).", P),
    ("rcpt", 554, "Blocked by RBL", P),
    ("rcpt", 550, "5.7.0 OFR005_104 Too many connections", P),
    ("rcpt", 421, "4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints", P),
    ("final", 421, "4.7.28 Gmail has detected an unusual rate of unsolicited mail", P),
    ("rcpt", 451, "4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation", P),
    ("rcpt", 450, "4.2.1 The user you are trying to contact is receiving mail at a rate that prevents delivery", P),
    ("mail", 421, "4.3.2 Service shutting down", P),
    # later
    ("rcpt", 450, "4.2.0 Greylisted, see http://postgrey.example", D),
    ("rcpt", 451, "4.7.1 Greylisting in action, please come back later", D),
    ("rcpt", 452, "4.2.2 The email account that you tried to reach is over quota", D),
    ("rcpt", 552, "5.2.2 Mailbox full", D),
    ("rcpt", 552, "too many recipients", D),
    ("rcpt", 550, "5.2.2 OFR_417 Boite pleine", D),
    ("rcpt", 451, "4.3.0 Temporary lookup failure", D),
    ("final", 451, "4.3.0 Error: queue file write error", D),
    ("rcpt", 554, "Something new that nobody has seen", D),
    ("final", 554, "Transaction failed", D),
    ("rcpt", 550, "5.9.9 unheard of", D),
    ("data", 250, "nonsense", D),
    # ours
    ("mail", 550, "5.1.8 Sender address rejected: Domain not found", O),
    ("mail", 530, "5.7.0 Authentication required", O),
    ("rcpt", 554, "5.7.1 <x@courriel.example>: Relay access denied", O),
    ("rcpt", 550, "5.7.1 Unable to relay", O),
    ("final", 550, "5.7.26 This mail is unauthenticated, which poses a security risk", O),
    ("final", 550, "5.7.515 Access denied, sending domain does not meet the required authentication level", O),
    ("final", 552, "5.3.4 Message size exceeds fixed limit", O),
    ("final", 554, "5.6.0 Message contains bare LF", O),
    ("rcpt", 550, "5.1.7 sender LPN007_405", O),
    ("rcpt", 503, "5.5.1 Bad sequence of commands", O),
    ("auth", 535, "5.7.8 Error: authentication failed", O),
    ("greeting", 554, "5.7.1 your address is blocked", O),
    # nonsense after the dot
    ("final", 354, "go on?", Q),
    ("final", -1, "Malformed SMTP response line", Q),
]


@pytest.mark.parametrize(
    ("phase", "code", "text", "kind"), REPLIES, ids=[f"{r[0]}-{r[1]}-{r[2][:24]}" for r in REPLIES]
)
def test_a_reply(phase, code, text, kind):
    outcome = classify(Phase(phase), code, text)
    assert outcome.kind is kind
    assert (outcome.phase, outcome.code, outcome.text) == (phase, code, text), "the server's words are kept"


def test_the_enhanced_code_is_kept_apart():
    assert classify(Phase.RCPT, 550, "5.1.1 no\n5.1.1 really").enhanced == "5.1.1"
    assert classify(Phase.RCPT, 550, "192.0.2.1 is blocked").enhanced == ""


def test_five_seven_is_never_an_address():
    for detail in range(700):
        for phase in (Phase.RCPT, Phase.DATA, Phase.FINAL):
            assert classify(phase, 550, f"5.7.{detail} user unknown").kind in (P, O)


def test_only_a_reply_after_the_dot_accepts():
    for phase in Phase:
        for code in range(200, 300):
            assert (classify(phase, code, "ok").kind is A) == (phase is Phase.FINAL)


def test_no_temporary_reply_is_for_ever():
    for phase in Phase:
        for code in range(400, 500):
            assert classify(phase, code, "5.1.1 user unknown").kind in (D, P)


def test_without_a_reply():
    assert lost(Phase.DATA).kind is Kind.LOST and timed_out(Phase.RCPT).kind is D and in_doubt("x").kind is Q
