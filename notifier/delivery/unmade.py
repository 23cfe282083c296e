"""A message that cannot be made: whose fault it is, one delivery's or everybody's. Pure.

A contact that opens no more, an envelope that is not its recipient's, a name that cannot be written: that one delivery
is set aside (state ``unmade``), under a code without personal data, and the run goes on. A key, a setting or a text
that is wrong, or a database that fails, is everybody's: it ends the run.
"""

from __future__ import annotations

from notifier.delivery.outcomes import Kind, Outcome, Phase
from notifier.delivery.transaction import EnvelopeError
from notifier.dkim import SigningError
from notifier.errors import VaultError

UNREADABLE, ENVELOPE, SIGNATURE = "unreadable", "envelope", "signature"
NO_COMMAND = "no_command"  # the address fits into no command of SMTP: refused, and so by post

_CODES = ((VaultError, UNREADABLE), (EnvelopeError, ENVELOPE), (SigningError, SIGNATURE))
_OF_ONE = (LookupError, TypeError, ValueError, AttributeError)  # what one contact's values make of our code


def code_of(error: Exception) -> str | None:
    """One word for the journal and `requeue`; None: it is not this delivery's fault. (Never the error's own text: it
    may quote a value, I8.)"""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    return type(error).__name__ if isinstance(error, _OF_ONE) else None


def unmade(code: str) -> Outcome:
    """Nothing was begun, and nothing will be until somebody has looked."""
    return Outcome(Kind.UNMADE, Phase.CONNECT, text=code)
