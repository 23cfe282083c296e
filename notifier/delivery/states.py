"""Everything about the state machine of a delivery: states, events, the one transition table.

What each state means, what a crash leaves in it, and who moves it on:

queued      Waits for its next attempt. A crash leaves it so. The sender claims it once approved and due.
sending     Claimed, durably, before the first byte of its transaction (I4). A crash leaves it so: an orphan, which
            whoever gets the sender's lock next puts in doubt, for nobody knows whether the final dot went out. If
            everybody whom it informs was taken out meanwhile, what is recorded of its end moves it on at once: what
            may have arrived is held in doubt, what was not taken is withdrawn, and nothing takes a failed one's place.
deferred    The last attempt failed for now; due again later. A crash leaves it so. The sender claims it when due. If
            its persons are taken out, or its approval is taken back, it is withdrawn, or, after a doubt, held in doubt.
in_doubt    The final dot may have gone out and no answer was recorded (RFC 1047). A crash leaves it so. With a due
            time the sender sends it once more, same Message-ID; without one it is held, and somebody decides.
unmade      Its message could not be made (a contact that opens no more, an envelope that is not its recipient's).
            Nothing went out, and nobody tries again until somebody has looked and puts it back into the queue.
accepted    The relay answered 250 after the final dot; or it was in doubt, and somebody decided by name that it is
            taken as handed over. Nothing moves it but what comes back: a report or a bounce.
delivered   A report says that the recipient's own server took it. A late bounce may still contradict (RFC 3464).
refused     The address is bad. In the same transaction an e-mail to the contact's second address, or a letter, took its
            place; or its persons are unreachable, until a newer directory gives another way. Refused by mistake, it can
            be put back into the queue, as long as nothing that took its place has told anybody.
expired     Deferred until the campaign's limit passed. A letter took its place; where none can be sent, the
            second address. It can be put back likewise.
bounced     Accepted, then returned. A letter takes its place, as for refused.
withdrawn   Taken back before anybody can have been told. Final.
to_print    A letter that waits for the next print file. A crash leaves it so. The export of letters moves it on.
printed     In a print file. The operator says when it was posted.
posted      In the post. Only a return moves it on.
returned    The letter came back. Final: its persons are unreachable.

A step that the table does not hold raises IllegalTransition and changes nothing. ``python -m notifier.delivery.states``
prints docs/states.md.
"""

from __future__ import annotations

from enum import StrEnum

from notifier.errors import IllegalTransition


class State(StrEnum):
    """Where a delivery is in its life."""

    QUEUED = "queued"
    SENDING = "sending"
    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    REFUSED = "refused"
    IN_DOUBT = "in_doubt"
    UNMADE = "unmade"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    TO_PRINT = "to_print"
    PRINTED = "printed"
    POSTED = "posted"
    RETURNED = "returned"


class Event(StrEnum):
    """What happens to a delivery."""

    CLAIM = "claim"  # the sender marks it, before the first byte
    RELEASE = "release"  # the sender stops before the first byte: as if never claimed
    ACCEPT = "accept"  # 2yz after the final dot
    DEFER = "defer"  # 4yz, or nothing handed over: later
    REFUSE = "refuse"  # the address is bad
    EXPIRE = "expire"  # deferred for too long
    DOUBT = "doubt"  # the final dot may have gone out, and no answer
    SUSPECT = "suspect"  # it may have gone out: since a backup that was restored, or in an attempt before this wait,
    #                      and its persons are out, or its approval was taken back
    RESEND = "resend"  # in doubt, and the policy (or somebody) says: once more
    TAKE = "take"  # in doubt, and somebody says: taken as handed over
    SET_ASIDE = "set_aside"  # its message cannot be made
    REQUEUE = "requeue"  # somebody says that it was refused, given up or set aside by mistake
    ACCEPT_LATE = "accept_late"  # the answer of an attempt that was given up for lost: accepted
    CONFIRM = "confirm"  # a report: delivered
    BOUNCE = "bounce"  # a report: failed
    WITHDRAW = "withdraw"
    PRINT = "print"
    POST = "post"
    RETURN = "return"


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.QUEUED, Event.CLAIM): State.SENDING,
    (State.DEFERRED, Event.CLAIM): State.SENDING,
    (State.SENDING, Event.RELEASE): State.QUEUED,
    (State.SENDING, Event.ACCEPT): State.ACCEPTED,
    (State.SENDING, Event.DEFER): State.DEFERRED,
    (State.SENDING, Event.REFUSE): State.REFUSED,
    (State.SENDING, Event.EXPIRE): State.EXPIRED,
    (State.SENDING, Event.DOUBT): State.IN_DOUBT,
    (State.SENDING, Event.SET_ASIDE): State.UNMADE,
    (State.QUEUED, Event.SUSPECT): State.IN_DOUBT,
    (State.DEFERRED, Event.SUSPECT): State.IN_DOUBT,
    (State.IN_DOUBT, Event.RESEND): State.QUEUED,
    (State.IN_DOUBT, Event.TAKE): State.ACCEPTED,
    (State.REFUSED, Event.REQUEUE): State.QUEUED,
    (State.EXPIRED, Event.REQUEUE): State.QUEUED,
    (State.UNMADE, Event.REQUEUE): State.QUEUED,
    (State.IN_DOUBT, Event.ACCEPT_LATE): State.ACCEPTED,
    (State.QUEUED, Event.ACCEPT_LATE): State.ACCEPTED,
    (State.DEFERRED, Event.ACCEPT_LATE): State.ACCEPTED,
    (State.UNMADE, Event.ACCEPT_LATE): State.ACCEPTED,
    (State.ACCEPTED, Event.CONFIRM): State.DELIVERED,
    (State.IN_DOUBT, Event.CONFIRM): State.DELIVERED,
    (State.ACCEPTED, Event.BOUNCE): State.BOUNCED,
    (State.DELIVERED, Event.BOUNCE): State.BOUNCED,
    (State.IN_DOUBT, Event.BOUNCE): State.BOUNCED,
    (State.QUEUED, Event.WITHDRAW): State.WITHDRAWN,
    (State.DEFERRED, Event.WITHDRAW): State.WITHDRAWN,
    (State.UNMADE, Event.WITHDRAW): State.WITHDRAWN,
    (State.TO_PRINT, Event.WITHDRAW): State.WITHDRAWN,
    (State.TO_PRINT, Event.PRINT): State.PRINTED,
    (State.PRINTED, Event.POST): State.POSTED,
    (State.POSTED, Event.RETURN): State.RETURNED,
}


def advance(state: State, event: Event) -> State:
    """The state that ``event`` leads to. Raises IllegalTransition if the table does not hold the step."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"a delivery that is {state} cannot {event}") from None


def sources(event: Event) -> frozenset[State]:
    """The states in which ``event`` may happen."""
    return frozenset(state for state, possible in TRANSITIONS if possible is event)


def targets(state: State) -> frozenset[State]:
    """The states that one event leads to from ``state``."""
    return frozenset(target for (source, _), target in TRANSITIONS.items() if source is state)


INITIAL = frozenset(State) - frozenset(
    target
    for (source, event), target in TRANSITIONS.items()
    if event not in (Event.RELEASE, Event.RESEND, Event.REQUEUE)
)
# Nothing moves it on by itself: only somebody who says that it was a mistake.
FINAL = frozenset(State) - frozenset(source for source, event in TRANSITIONS if event is not Event.REQUEUE)
CLAIMABLE = sources(Event.CLAIM)
OUTCOMES = targets(State.SENDING)


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    lines += [f"    [*] --> {state}" for state in State if state in INITIAL]
    lines += [f"    {source} --> {target}: {event}" for (source, event), target in TRANSITIONS.items()]
    lines += [f"    {state} --> [*]" for state in State if state in FINAL]
    return "\n".join(lines) + "\n"


def document() -> str:
    """The text of docs/states.md."""
    description = (__doc__ or "").split("\n\n")
    return (
        "# The states of a delivery\n\n"
        "Generated by `python -m notifier.delivery.states > docs/states.md`; a test holds it to the code.\n\n"
        f"{description[1]}\n\n```text\n{description[2]}\n```\n\n"
        f"```mermaid\n{diagram()}```\n"
    )


if __name__ == "__main__":
    import sys

    sys.stdout.write(document())
