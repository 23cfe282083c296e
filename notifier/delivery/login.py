"""The login: the secret that tells a relay who we are, where it is read, and what is kept of words that echo it (I8).

Some servers echo what they were told, in clear or as AUTH carried it. A reply may go into the journal, and so into
every proof, for ever: what is said in a session with a login loses the secret before anybody keeps or shows it, and
also before it is sealed. The rules of data/providers.toml still judge a reply as it was said.
"""

from __future__ import annotations

import base64
import codecs
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from notifier.campaign import RelayAccess
from notifier.errors import SettingsError
from notifier.vault import SECRET

_ALONE = 4  # a shorter one counts as itself only between word boundaries, or no reply could be read
# A token of base64, or what a client's own command was cut to; addresses of pages are passed over.
_TOKEN = re.compile(r"(?P<page>https?://\S+)|[A-Za-z0-9+/]{16,}=*")


class Login:
    """User name and password. It shows neither."""

    __slots__ = ("_forms", "password", "username")

    def __init__(self, username: str, password: str) -> None:
        self.username = username
        self.password = password
        longest_first = sorted({form for form in _forms(username, password) if form}, key=len, reverse=True)
        self._forms = re.compile("|".join(_pattern(form) for form in longest_first), re.IGNORECASE)

    def conceal(self, text: str) -> str:
        """What a server said in a session, without the secret."""
        return self._forms.sub(SECRET, text) if self.password else text

    def conceal_all(self, text: str) -> str:
        """What it said of the login itself: without any token in which the secret may stand, whole or cut short."""
        return _TOKEN.sub(_unless_a_word, self.conceal(text))


def _forms(username: str, password: str) -> Iterator[str]:
    """How the secret may be written: in clear (also by a server that takes UTF-8 for single bytes), as a page's address
    would have it, and in the base64 of PLAIN, with and without the name to act for (RFC 4616), and of LOGIN."""
    yield password
    yield quote(password, safe="")
    yield password.encode().decode("latin-1")
    for text in (password, username, f"\0{username}\0{password}", f"{username}\0{username}\0{password}"):
        yield base64.b64encode(text.encode()).decode().rstrip("=")


def _pattern(form: str) -> str:
    literal = re.escape(form)
    return literal if len(form) >= _ALONE else rf"(?<!\w){literal}(?!\w)"


def _unless_a_word(found: re.Match[str]) -> str:
    token = found[0]
    is_word = token.isalpha() and (token[1:].islower() or token.isupper())
    return token if found["page"] or is_word else SECRET


def read_login(
    section: RelayAccess, path: str, variable: str, folder: Path, environment: Mapping[str, str]
) -> Login | None:
    """The login of the relay that stands at ``path`` of campaign.toml; None without one. The password comes from the
    environment's ``variable``, else from its file; never from campaign.toml, which is approved and shown."""
    if not section.username:
        return None
    if password := environment.get(variable):
        return Login(section.username, password)
    if section.password_file is None:
        raise SettingsError(f"{path}.username is set: set {path}.password_file too, or the variable {variable}")
    return Login(section.username, _one_line(folder / section.password_file, f"{path}.password_file"))


def _one_line(file: Path, setting: str) -> str:
    """What a file holds, but for what an editor adds: a byte order mark and one line end. A relay counts a login that
    cannot have been meant as it counts a wrong one."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise SettingsError(f"{setting}: {file} cannot be read ({why})") from error
    line = raw.removeprefix(codecs.BOM_UTF8).removesuffix(b"\n").removesuffix(b"\r")
    if not line:
        raise SettingsError(f"{setting}: {file} is empty: write the password into it, on one line")
    if b"\n" in line or b"\r" in line:
        raise SettingsError(f"{setting}: {file} has several lines: leave the password alone in it, on one line")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # in PLAIN it would end the name or the password (RFC 4616 2)
        raise SettingsError(f"{setting}: {file} holds no text in UTF-8")
    return text
