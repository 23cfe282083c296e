"""The tree of errors.

``OperatorError`` is what the person at the terminal can mend: one clear line, no traceback, exit 2 (75 for
``TryLater``). Everything else is ours. Texts never carry personal data: they name files, lines, columns, codes and
settings, not values (invariant I8).
"""


class NotifierError(Exception):
    """Root of all errors that this package raises on purpose."""


class OperatorError(NotifierError):
    """The operator can mend it. The text is one sentence that says what is wrong and what to do."""

    exit_code = 2


class SettingsError(OperatorError):
    """campaign.toml, a profile or an override is wrong; the text carries the setting's path."""


class ExportError(OperatorError):
    """A file that cannot be taken in as a whole. Nothing of it was stored."""


class TemplateError(OperatorError):
    """A template does not compile or breaks a rule; the text carries file and line."""


class VaultError(OperatorError):
    """A key is missing, unreadable or not this campaign's. Nothing was written."""


class DatabaseBehind(OperatorError):
    """The database is behind the campaign's head: restored from a backup, or an old copy. Only `recover` goes on."""


class OtherHost(OperatorError):
    """Another machine was the last to send: somebody has to say that this one takes over."""


class ProofError(OperatorError):
    """A proof pack that is no proof pack. (An altered one is a *verdict*, not an error.)"""


class TryLater(OperatorError):
    """Nothing is wrong with the command; the world is not ready. Exit 75 (EX_TEMPFAIL, sysexits.h)."""

    exit_code = 75


class CampaignBusy(TryLater):
    """Another process holds the campaign (DESIGN 9: one sender at a time)."""


class RelayUnavailable(TryLater):
    """The relay does not answer."""


class StorageError(NotifierError):
    """The database failed. ``__cause__`` holds what the driver said."""


class JournalError(NotifierError):
    """The journal contradicts itself: stop everything, nobody may be told that all is well."""


class IllegalTransition(NotifierError):
    """A delivery was asked to take a step that the transition table does not hold. A bug, caught nowhere."""
