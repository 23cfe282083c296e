"""DKIM: our own signature on each message (RFC 6376), for a campaign whose relay does not sign.

rsa-sha256 with 2048 bits or more (RFC 8301), and a second signature in ed25519-sha256 (RFC 8463) where a second key is
given; relaxed/relaxed, no ``l=``. Signed are the headers of DOMAIN D4; From, To, Subject and Date are signed once more
than they are there, so that none can be added. Deterministic: ``t=`` is the attempt's time, and both algorithms give
one signature for one message and key.

The private keys stay in their files, outside the campaign folder if wished. What an approval binds is the selector and
the public key's digest (:func:`with_public_keys`); a key that cannot be used is told by :func:`load_signer`, before
anything is sent.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from notifier.campaign import Sender, Settings
from notifier.errors import NotifierError, SettingsError

RSA_BITS = 2048
OVERSIGNED = ("From", "To", "Subject", "Date")
SIGNED = (
    *("From", "To", "Subject", "Date", "Message-ID", "Reply-To", "MIME-Version", "Content-Type", "Content-Language"),
    *("Content-Transfer-Encoding", "Auto-Submitted", "Feedback-ID"),
)

_FOLD = 72  # characters of a signature on one line


class SigningError(NotifierError):
    """A message that must not be signed: a bare CR or LF, or no end of its headers. A bug in who made it."""


@dataclass(frozen=True, slots=True, repr=False)
class DkimKey:
    """One key of one sender. ``record``: what the name server of the domain must say of it (a TXT record)."""

    setting: str
    selector: str
    algorithm: str
    sign: Callable[[bytes], bytes]
    digest: str
    record: str

    def __repr__(self) -> str:
        return f"DkimKey({self.algorithm}, selector={self.selector!r}, digest={self.digest!r})"


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs the messages of one sender. ``domain``: that of From."""

    domain: str
    keys: tuple[DkimKey, ...]

    def signed(self, message: bytes, *, at: datetime) -> bytes:
        """The message with a DKIM-Signature for each key before its other headers.

        Raises SigningError for a message with a bare CR or LF: a server on the way would change it, or read two
        messages in it (SMTP smuggling), and it would bear our name.
        """
        if not (message.count(b"\r\n") == message.count(b"\r") == message.count(b"\n")):
            raise SigningError("a message with a bare CR or LF is not signed")
        head, end, body = message.partition(b"\r\n\r\n")
        if not end or not message.endswith(b"\r\n"):
            raise SigningError("a message whose headers or last line have no end is not signed")
        fields = _fields(head)
        names, signed = _chosen(fields)
        body_hash = base64.b64encode(hashlib.sha256(_relaxed_body(body)).digest()).decode()
        signatures = [_signature(key, self.domain, int(at.timestamp()), names, signed, body_hash) for key in self.keys]
        return b"".join([*signatures, message])


def _signature(key: DkimKey, domain: str, at: int, names: str, signed: bytes, body_hash: str) -> bytes:
    """One header field, complete. Its own text is the last thing that is signed, with an empty ``b=`` (3.7)."""
    tags = (
        f"v=1; a={key.algorithm}; c=relaxed/relaxed; d={domain}; s={key.selector}; t={at};",
        f"h={names};",
        f"bh={body_hash};",
        "b=",
    )
    own = "dkim-signature:" + " ".join(tags)
    value = base64.b64encode(key.sign(signed + own.encode("ascii"))).decode()
    lines = [value[start : start + _FOLD] for start in range(0, len(value), _FOLD)]
    # Folded where a space stands in what was signed: relaxed takes a fold for one space (3.4.2).
    folded = "\r\n ".join(
        ["DKIM-Signature: " + tags[0], tags[1].replace(": ", ":\r\n "), tags[2], "b=" + lines[0], *lines[1:]]
    )
    return folded.encode("ascii") + b"\r\n"


def _fields(head: bytes) -> dict[str, bytes]:
    """Each header field as relaxed (3.4.2) signs it, by its name in small letters. Ours stand once each."""
    fields: dict[str, bytes] = {}
    for line in head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n"):
        name, _, value = line.partition(b":")
        key = name.strip().lower()
        if key.decode("ascii", "replace") in fields:
            raise SigningError("a message with a header that stands twice is not signed")
        fields[key.decode("ascii", "replace")] = key + b":" + b" ".join(value.split()) + b"\r\n"
    return fields


def _chosen(fields: Mapping[str, bytes]) -> tuple[str, bytes]:
    """``h=``, and the fields it names, in its order. An oversigned field is named once more, where none is (5.4.2)."""
    names, signed = [], []
    for name in SIGNED:
        field = fields.get(name.lower())
        if field is not None:
            names.append(name)
            signed.append(field)
    return ": ".join((":".join(names[:6]), ":".join(names[6:]), ":".join(OVERSIGNED))), b"".join(signed)


def _relaxed_body(body: bytes) -> bytes:
    """RFC 6376 3.4.4: runs of white space are one space, none at a line's end, no empty lines at the end."""
    if b"\t" in body:
        body = body.replace(b"\t", b" ")
    while b"  " in body:
        body = body.replace(b"  ", b" ")
    body = body.replace(b" \r\n", b"\r\n").rstrip(b"\r\n ")
    return body + b"\r\n" if body else b""


# -- keys ----------------------------------------------------------------------------------------------------------


def load_signers(settings: Settings, folder: Path) -> dict[str, Signer]:
    """The signers of all senders that have a key, by the sender's code. Raises SettingsError."""
    loaded = {sender.code: load_signer(sender, folder) for sender in settings.senders}
    return {code: signer for code, signer in loaded.items() if signer is not None}


def load_signer(sender: Sender, folder: Path) -> Signer | None:
    """Who signs for this sender; None without a key. Raises SettingsError, which names the setting."""
    keys = []
    for setting, path, selector in _configured(sender):
        if path is None:
            if setting == "dkim_ed25519_key" and selector:
                raise SettingsError(f"{_of(sender, setting)}: name the key file that {selector!r} stands for")
            continue
        if not selector:
            raise SettingsError(f"{_of(sender, setting)}: name its selector too, in {_selector_of(setting)}")
        keys.append(_load_key(sender, setting, folder / path, selector))
    if not keys:
        return None
    if keys[0].setting != "dkim_key":
        # RFC 8463: few verify ed25519 alone; most of the recipients would see an unsigned message.
        raise SettingsError(f"{_of(sender, 'dkim_ed25519_key')}: is a second signature: give dkim_key (RSA) too")
    if len({key.selector for key in keys}) < len(keys):
        raise SettingsError(f"{_of(sender, 'dkim_ed25519_selector')}: each key has a selector of its own")
    return Signer(sender.from_domain, tuple(keys))


def _load_key(sender: Sender, setting: str, path: Path, selector: str) -> DkimKey:
    where = _of(sender, setting)
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise SettingsError(f"{where}: {path} cannot be read ({error.strerror or type(error).__name__})") from error
    except TypeError as error:
        raise SettingsError(f"{where}: {path} has a password: give a key without one, mode 0600") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SettingsError(f"{where}: {path} is no private key in PEM") from error
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = hashlib.sha256(public).hexdigest()
    if setting == "dkim_key":
        if not isinstance(key, RSAPrivateKey):
            raise SettingsError(f"{where}: {path} is no RSA key (an ed25519 key goes into dkim_ed25519_key)")
        if key.key_size < RSA_BITS:
            raise SettingsError(f"{where}: {path} has {key.key_size} bits: make one of {RSA_BITS} (RFC 8301)")
        record = f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"
        return DkimKey(setting, selector, "rsa-sha256", _rsa(key), digest, record)
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(f"{where}: {path} is no ed25519 key")
    record = f"v=DKIM1; k=ed25519; p={base64.b64encode(key.public_key().public_bytes_raw()).decode()}"
    return DkimKey(setting, selector, "ed25519-sha256", _ed25519(key), digest, record)


def _rsa(key: RSAPrivateKey) -> Callable[[bytes], bytes]:
    padding, algorithm = PKCS1v15(), hashes.SHA256()
    return lambda data: key.sign(data, padding, algorithm)


def _ed25519(key: Ed25519PrivateKey) -> Callable[[bytes], bytes]:
    return lambda data: key.sign(hashlib.sha256(data).digest())  # RFC 8463 3: over the hash


def with_public_keys(settings: Settings, folder: Path) -> Settings:
    """The settings with what an approval binds of each key: selector and SHA-256 of the public key (DER). A key that
    cannot be used leaves nothing there; `check`, `approve` and `send` say why."""
    if not any(path or sender.dkim_public for sender in settings.senders for _, path, _ in _configured(sender)):
        return settings
    senders = []
    for sender in settings.senders:
        try:
            signer = load_signer(sender, folder)
        except SettingsError:
            signer = None
        known = {key.selector: key.digest for key in signer.keys} if signer else {}
        senders.append(sender.model_copy(update={"dkim_public": known}))
    return settings.model_copy(update={"senders": tuple(senders)})


def _configured(sender: Sender) -> Sequence[tuple[str, Path | None, str]]:
    return (
        ("dkim_key", sender.dkim_key, sender.dkim_selector),
        ("dkim_ed25519_key", sender.dkim_ed25519_key, sender.dkim_ed25519_selector),
    )


def _selector_of(setting: str) -> str:
    return setting.replace("_key", "_selector")


def _of(sender: Sender, setting: str) -> str:
    return f"[[senders]] {sender.code}: {setting}"
