"""Names of senders, added to campaign.toml as an editor would: comments, layout and file mode stay.

The changed file is written beside the old one and loaded as the settings of a campaign before it takes its place; the
rename is the commit point, and a crash before it leaves the old file.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from notifier.campaign import FILE, Settings, load
from notifier.errors import SettingsError
from notifier.intake.profiles import Senders
from notifier.people.identity import normal_name
from notifier.vault import NUMBER, RECIPIENT, redact

BLANK = "-"  # a cell without a name: its normal form is as empty
ANY = "*"


@dataclass(frozen=True, slots=True)
class NamesAdded:
    """What becomes of the names that were asked for, in their order."""

    sender: str
    added: tuple[str, ...]
    already: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A changed campaign.toml that lies beside the old one."""

    names: NamesAdded
    beside: Path
    target: Path

    @property
    def added(self) -> tuple[str, ...]:
        return self.names.added

    def put_in_place(self) -> None:
        """The commit point."""
        self.beside.replace(self.target)
        folder = os.open(self.target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def sort_out(settings: Settings, code: str, names: Sequence[str]) -> NamesAdded:
    """Which of ``names`` are new to the sender. Raises SettingsError for an unknown sender, for a name that another one
    has, and for what is no name. Pure."""
    settings.sender(code)
    owners = {normal_name(name): sender for sender in settings.senders for name in sender.names if name != ANY}
    added: dict[str, str] = {}
    already = []
    for given in names:
        name = " ".join(given.split())
        key = normal_name(name)
        if name == ANY:
            raise SettingsError('"*" takes whatever nobody else has: that is decided in campaign.toml, by hand')
        if redact(name) != name or any(mark in name for mark in (NUMBER, RECIPIENT)):
            raise SettingsError(
                "a name that holds an address or a number of somebody is not added: the column of senders is another "
                "one, or the columns are shifted; correct the profile and read the file again (a sender that is really "
                "called so: by hand, in campaign.toml)"
            )
        if not key:
            name = BLANK
        elif not name.isprintable():
            raise SettingsError("a name is one line of characters that can be seen")
        owner = owners.get(key)
        if owner is not None and owner.code != code:
            raise SettingsError(f"{name!r} is a name of the sender {owner.code} already: nothing was changed")
        if owner is not None or key in added:
            already.append(name)
        else:
            added[key] = name
    return NamesAdded(code, tuple(added.values()), tuple(already))


def with_names(text: str, code: str, names: Sequence[str]) -> str:
    """The text of campaign.toml with ``names`` added to those of the sender ``code``. Pure."""
    document = tomlkit.parse(text)
    for sender in document["senders"]:
        if sender["code"] == code:
            for name in names:
                sender["names"].append(name)
    return tomlkit.dumps(document)


@contextlib.contextmanager
def proposed(folder: Path, code: str, names: Sequence[str]) -> Iterator[Change]:
    """The change, checked, beside the old file until :meth:`Change.put_in_place`; what was not put in place goes.
    Raises SettingsError."""
    target = (folder / FILE).resolve()
    sorted_out = sort_out(load(folder), code, names)
    beside = target.with_name(f".{FILE}.{os.getpid()}")
    try:
        try:
            text = with_names(target.read_text(encoding="utf-8"), code, sorted_out.added)
            _write(beside, text, stat.S_IMODE(target.stat().st_mode))
        except TOMLKitError as error:
            raise SettingsError(f"{target}: {error}") from error
        except OSError as error:
            raise SettingsError(f"{target} cannot be changed: {error.strerror}") from error
        _must_hold(load(beside.parent, file=beside.name), sorted_out)
        yield Change(sorted_out, beside, target)
    finally:
        beside.unlink(missing_ok=True)


def _write(path: Path, text: str, mode: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _must_hold(settings: Settings, expected: NamesAdded) -> None:
    """Whether the changed file says what was meant. Raises SettingsError."""
    senders = Senders(settings.senders)  # raises when two senders have a name
    there = settings.sender(expected.sender).names
    if missing := [name for name in expected.added if name not in there or not senders.knows(name)]:
        raise SettingsError(f"{FILE}: the name {missing[0]!r} could not be added: add it to [[senders]] by hand")
