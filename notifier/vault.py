"""Keys, sealing of personal data, identity digests, redaction.

Four independent random keys, each of which can be destroyed alone (DESIGN 6):

``seal``       AES-256-GCM over the personal fields of a person, a contact or a server reply
``identity``   keyed BLAKE2b-128 over identities, rungs and pseudonyms (a plain hash of a NIR falls in minutes)
``reference``  case references, delivery tokens and return-path codes that cannot be guessed
``signing``    Ed25519 over checkpoints (RFC 8032)

The keys of a rehearsal (``drill run``) are of another kind: the file says ``"kind": "drill"``, and what it holds is
only what the keys are derived from, under that kind. Whoever edits the kind or the id gets other keys, which neither
the drill's database nor its proof knows.

The key file is never in the database nor in its backups. Database + key = the NIRs can be found by trying all:
treat the pair like the file of NIRs.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from notifier.errors import VaultError
from notifier.model import is_drill

NONCE_BYTES = 12
DIGEST_BYTES = 16
KEY_BYTES = 32
KEY_NAMES = ("seal", "identity", "reference", "signing")
ENVIRONMENT = "NOTIFIER_KEY"
CAMPAIGN, DRILL = "campaign", "drill"  # kinds of key

# Crockford's base32: no I, L, O, U, so that a reference survives being read out on the phone.
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [left + right for left in _CROCKFORD for right in _CROCKFORD]
_PURPOSES = ("case", "return", "blind")  # of tokens
_decoded = json.JSONDecoder().raw_decode


@dataclass(frozen=True, repr=False)
class Keys:
    """The four keys of one campaign."""

    campaign_id: str
    seal: bytes
    identity: bytes
    reference: bytes
    signing: bytes

    def __repr__(self) -> str:
        return f"Keys(campaign_id={self.campaign_id!r}, …)"

    @property
    def kind(self) -> str:
        """``drill`` or ``campaign``."""
        return DRILL if is_drill(self.campaign_id) else CAMPAIGN

    @classmethod
    def new(cls, campaign_id: str) -> Keys:
        """Fresh random keys."""
        return cls(campaign_id, *(secrets.token_bytes(KEY_BYTES) for _ in KEY_NAMES))

    def dump(self) -> str:
        """The key file's text (JSON)."""
        keys = {name: base64.b64encode(getattr(self, name)).decode() for name in KEY_NAMES}
        return json.dumps({"campaign": self.campaign_id, **keys, "kind": self.kind}, indent=1) + "\n"

    @classmethod
    def load(cls, text: str, origin: str) -> Keys:
        """Read :meth:`dump`'s text. ``origin`` names the file or variable in the error."""
        try:
            body = json.loads(text)
            keys = [base64.b64decode(body[name], validate=True) for name in KEY_NAMES]
            campaign_id, kind = str(body["campaign"]), body.get("kind", CAMPAIGN)
        except (ValueError, KeyError, TypeError) as error:
            raise VaultError(f"{origin} is not a notifier key file") from error
        if any(len(key) != KEY_BYTES for key in keys):
            raise VaultError(f"{origin} holds a key of the wrong length")
        loaded = cls(campaign_id, *keys)
        if kind != loaded.kind:
            raise VaultError(f"{origin} was altered: its campaign {campaign_id} is no {kind!r}")
        return loaded


def config_home(environment: Mapping[str, str] = os.environ) -> Path:
    """The user's config directory (XDG Base Directory): there the keys of real campaigns lie, unless told otherwise."""
    configured = environment.get("XDG_CONFIG_HOME", "")
    return Path(configured) if configured.startswith("/") else Path.home() / ".config"


def write_key_file(path: Path, keys: Keys) -> None:
    """Create ``path`` with mode 0600. An existing file is never overwritten: it may be the only copy."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise VaultError(f"the key file {path} exists already; it is never overwritten") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(keys.dump())
        file.flush()
        os.fsync(file.fileno())


def read_keys(path: Path, environment: Mapping[str, str] = os.environ) -> Keys:
    """Keys from the variable NOTIFIER_KEY (the key file's text) or else from the key file."""
    if text := environment.get(ENVIRONMENT):
        return Keys.load(text, f"the variable {ENVIRONMENT}")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise VaultError(
            f"there is no key file at {path}: put its backup back there, or set [key] path or {ENVIRONMENT}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise VaultError(f"the key file {path} cannot be read") from error
    return Keys.load(text, f"the key file {path}")


def is_copy_of(path: Path, vault: Vault) -> bool:
    """Whether ``path`` holds the very keys of ``vault``."""
    with contextlib.suppress(VaultError):
        return Vault(read_keys(path, {})).recognises(vault.probe())
    return False


class Vault:
    """What can be done with the keys. Holds no personal data."""

    def __init__(self, keys: Keys) -> None:
        self.campaign_id = keys.campaign_id
        self.is_drill = keys.kind == DRILL
        self._keys = keys
        seal, identity, reference, signing = _used(keys)
        self._aead = AESGCM(seal)
        self._identity = hashlib.blake2b(key=identity, digest_size=DIGEST_BYTES)
        self._reference = hashlib.blake2b(key=reference, digest_size=DIGEST_BYTES)
        # What each message asks for, begun once: a copy goes on where it stops.
        self._begun = {purpose: _fed(self._reference, (purpose,)) for purpose in _PURPOSES}
        self._signing = Ed25519PrivateKey.from_private_bytes(signing)

    def __repr__(self) -> str:
        return f"Vault(campaign_id={self.campaign_id!r})"

    # -- seal ----------------------------------------------------------------------------------------------------

    def seal(self, kind: str, identity: bytes, fields: Mapping[str, Any]) -> bytes:
        """``nonce ‖ ciphertext`` of the fields as JSON; ``kind ‖ identity`` is authenticated with it, so that a
        sealed value moved to another row does not open."""
        return self.seal_bytes(kind, identity, json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode())

    def unseal(self, kind: str, identity: bytes, sealed: bytes) -> dict[str, Any]:
        """Inverse of :meth:`seal`. Raises VaultError when key, row or bytes are not the ones that were sealed."""
        text = self.unseal_bytes(kind, identity, sealed).decode()
        fields: dict[str, Any]
        fields, end = _decoded(text)
        if end != len(text):
            fields = json.loads(text)  # which knows white space, and raises for anything else
        return fields

    def seal_bytes(self, kind: str, identity: bytes, plain: bytes) -> bytes:
        """Like :meth:`seal`, for bytes that are no JSON (a server's verbatim reply)."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, plain, kind.encode() + b"\0" + identity)

    def seal_many(self, kind: str, identities: Iterable[bytes], plains: Iterable[bytes]) -> list[bytes]:
        """:meth:`seal_bytes` for many rows at once."""
        encrypt, prefix, rows = self._aead.encrypt, kind.encode() + b"\0", list(zip(identities, plains, strict=True))
        random = os.urandom(NONCE_BYTES * len(rows))
        sealed = []
        for row, (identity, plain) in enumerate(rows):
            nonce = random[row * NONCE_BYTES : (row + 1) * NONCE_BYTES]
            sealed.append(nonce + encrypt(nonce, plain, prefix + identity))
        return sealed

    def unseal_bytes(self, kind: str, identity: bytes, sealed: bytes) -> bytes:
        """Inverse of :meth:`seal_bytes`."""
        try:
            return self._aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], kind.encode() + b"\0" + identity)
        except (InvalidTag, ValueError) as error:
            raise VaultError("a sealed value does not open: wrong key, or the row was altered") from error

    # -- identity ------------------------------------------------------------------------------------------------

    def digest(self, *parts: str) -> bytes:
        """16 bytes; keyed BLAKE2b over the length-prefixed parts (no two lists of parts share an encoding)."""
        return _keyed(self._identity, parts)

    def digester(self) -> Callable[..., bytes]:
        """:meth:`digest` as a plain function, for hot loops."""
        return self.digest

    def digests(self, packed: Iterable[bytes | None]) -> list[bytes | None]:
        """:meth:`digest` for many rows at once. Each item holds its parts in the form of :func:`pack`, joined, as
        UTF-8; None stays None. A whole file is digested this way: one update per row instead of one per part."""
        copy = self._identity.copy
        digests: list[bytes | None] = []
        add = digests.append
        for item in packed:
            if item is None:
                add(None)
            else:
                state = copy()
                state.update(item)
                add(state.digest())
        return digests

    def pseudonym(self, sender: str, identity: bytes) -> str:
        """A person's name in the journal: 32 hex digits; stable, and unlinkable once the identity key is gone."""
        return self.digest("pseudonym", sender, identity.hex()).hex()

    # -- reference -----------------------------------------------------------------------------------------------

    def token(self, *parts: str) -> bytes:
        """16 bytes that nobody without the key can guess: the name of a delivery in Message-ID and return path."""
        begun = self._begun.get(parts[0]) if parts else None
        return _keyed(self._reference, parts) if begun is None else _keyed(begun, parts[1:])

    def tokens(self, parts: Iterable[str], endings: Iterable[Iterable[str]]) -> list[bytes]:
        """:meth:`token` of ``(*parts, *ending)`` for many endings at once."""
        copy = _fed(self._reference, parts).copy
        tokens = []
        for ending in endings:
            state = copy()
            for part in ending:  # as in _fed, without the calls: there are millions
                encoded = part.encode()
                state.update(len(encoded).to_bytes(4, "big") + encoded)
            tokens.append(state.digest())
        return tokens

    def reference(self, *parts: str) -> str:
        """A case reference, ``XXXX-XXXX-XXXX``: 60 bits in Crockford's base32."""
        value = self.reference_number(*parts)
        two = _PAIRS
        return (
            f"{two[value >> 50]}{two[value >> 40 & 1023]}-"
            f"{two[value >> 30 & 1023]}{two[value >> 20 & 1023]}-{two[value >> 10 & 1023]}{two[value & 1023]}"
        )

    def reference_number(self, *parts: str) -> int:
        """The 60 bits that :meth:`reference` spells: what a look-up finds it by."""
        return int.from_bytes(self.token("case", *parts)[:8], "big") >> 4

    def blinded_sha256(self, kind: str, token: bytes, attempt: int, content: bytes) -> str:
        """SHA-256 over a 16-byte blinding value and ``content``, hex. A bare hash of a reply or a notice in a proof
        would let anybody who holds a list of names and addresses try them all; the blind (:meth:`blind`) is given
        only with the content."""
        state = hashlib.sha256(self.blind(kind, token, attempt))
        state.update(content)
        return state.hexdigest()

    def blind(self, kind: str, token: bytes, attempt: int) -> bytes:
        """The blinding value of one attempt's ``reply`` or ``notice``."""
        return self.token("blind", kind, token.hex(), str(attempt))

    # -- signing -------------------------------------------------------------------------------------------------

    def sign(self, message: bytes) -> bytes:
        """64 bytes, Ed25519."""
        return self._signing.sign(message)

    @property
    def public_key(self) -> bytes:
        """32 bytes, Ed25519."""
        return self._signing.public_key().public_bytes_raw()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the public key, hex: what a witness writes down, and `proof verify --fingerprint` demands."""
        return hashlib.sha256(self.public_key).hexdigest()

    def keys_for_making(self) -> Keys:
        """The keys for a process that makes messages (delivery/workbench.py): all but the one that signs the journal,
        in whose place stands a random one."""
        return replace(self._keys, signing=secrets.token_bytes(KEY_BYTES))

    # -- the right key -------------------------------------------------------------------------------------------

    def probe(self) -> bytes:
        """A value that only these four keys make; kept in the database so that a wrong key is told at open."""
        names = "|".join((self.digest("probe").hex(), self.token("probe").hex(), self.fingerprint))
        return self.seal("probe", b"", {"keys": names})

    def recognises(self, probe: bytes) -> bool:
        """Whether :meth:`probe` was made with these very keys."""
        names = "|".join((self.digest("probe").hex(), self.token("probe").hex(), self.fingerprint))
        with contextlib.suppress(VaultError):
            return hmac.compare_digest(self.unseal("probe", b"", probe).get("keys", "").encode(), names.encode())
        return False


def _used(keys: Keys) -> list[bytes]:
    """The keys as they are used: a campaign's as they stand, a drill's derived under its kind and its id."""
    held: list[bytes] = [getattr(keys, name) for name in KEY_NAMES]
    if keys.kind != DRILL:
        return held
    under = f"{DRILL}\0{keys.campaign_id}".encode()
    return [hashlib.blake2b(under, key=key, person=b"notifier-drill", digest_size=KEY_BYTES).digest() for key in held]


def spelled_reference(text: str) -> str:
    """A case reference as it is printed, however it was typed: Crockford's base32 reads O as 0, I and L as 1.

    >>> spelled_reference("0a1b 2c3d-4efo")
    '0A1B-2C3D-4EF0'
    """
    letters = "".join(letter for letter in text.upper() if letter.isalnum()).translate(str.maketrans("OIL", "011"))
    return f"{letters[:4]}-{letters[4:8]}-{letters[8:]}"


def number_of_reference(spelled: str) -> int:
    """Inverse of the spelling of :meth:`Vault.reference`; raises ValueError for what is none.

    >>> number_of_reference("0000-0000-001Z")
    63
    """
    value = 0
    for letter in spelled.replace("-", ""):
        value = value << 5 | _CROCKFORD.index(letter)
    return value


def ranked_key(group: bytes, rank: int) -> bytes:
    """The digest of a group with a birth rank beside it: the rung of both. (Rank and group's digest stand in clear in
    the same row: a digest of their own would hide nothing, and costs as much as a second reading of the number.)"""
    return group + RANK_BYTES[rank]


RANK_BYTES = tuple(bytes([rank]) for rank in range(256))


PACKED_BYTES = 127  # of one part: its length is then one ASCII character, and the whole stays text


def pack(part: str) -> str:
    """``part`` with its length before it, as :meth:`Vault.digests` takes it. At most PACKED_BYTES long in UTF-8."""
    length = len(part.encode())
    if length > PACKED_BYTES:
        raise ValueError(f"a packed part has at most {PACKED_BYTES} bytes")
    return f"\0\0\0{chr(length)}{part}"


def _keyed(base: Any, parts: Iterable[str]) -> bytes:
    digest: bytes = _fed(base, parts).digest()
    return digest


def _fed(base: Any, parts: Iterable[str]) -> Any:
    state = base.copy()
    packed = b""
    for part in parts:
        encoded = part.encode()
        packed += len(encoded).to_bytes(4, "big") + encoded
    state.update(packed)
    return state


# -- redaction (I8) ------------------------------------------------------------------------------------------------

RECIPIENT = "<recipient>"
SECRET = "<secret>"  # noqa: S105  (the mark that stands in its place: delivery/login.py)
NUMBER = "<number>"

# Anything shaped like an address, quoted or percent-routed local parts and xtext (RFC 3461) included.
_ADDRESS = re.compile(
    r'(?:"[^"\r\n]{1,64}"|[^\s<>()\[\]:;,"@]{1,256})(?:@|\+40|%40)[^\s<>()\[\]:;,"@]{1,255}', re.IGNORECASE
)
# NIR in 13 or 15 characters, spaced or not (DOMAIN B1); IBAN and RIB; a NIR that a spreadsheet rounded.
_GAP = r"[\s._/\\\-\u2010-\u2015]{0,2}"
_NIR = re.compile(
    rf"(?<![0-9A-Za-z])[1-8](?:{_GAP}\d){{5}}{_GAP}[0-9ABab](?:{_GAP}\d){{6}}(?:{_GAP}\d\d)?(?![0-9A-Za-z])"
)
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?:[ \u00a0]?[0-9A-Z]{4}){2,7}(?:[ \u00a0]?[0-9A-Z]{1,3})?\b")
_RIB = re.compile(
    r"(?<![0-9A-Za-z])\d{5}[ \u00a0]?\d{5}[ \u00a0]?[0-9A-Z]{11}[ \u00a0]?\d{2}(?![0-9A-Za-z])", re.IGNORECASE
)
_DIGITS = b"0123456789"
_ROUNDED = re.compile(r"\b[1-8][.,]\d{4,14}E\+1[24]\b", re.IGNORECASE)


def redact(text: str, values: Iterable[str] = ()) -> str:
    """``text`` without personal data: each of ``values`` (address, local part, name, unlisted domain; compared
    without case) and every address-shaped token become ``<recipient>``, every NIR-, IBAN- or RIB-shaped number
    ``<number>``. Server replies echo addresses, and a log line is for ever."""
    if "@" in text or "40" in text:
        text = _ADDRESS.sub(RECIPIENT, text)
    for value in sorted({value for value in values if len(value) > 1}, key=len, reverse=True):
        text = re.sub(re.escape(value), RECIPIENT, text, flags=re.IGNORECASE)
    text = _IBAN.sub(NUMBER, text)
    # The others have twelve digits, or seven and "E+1": most replies have not. (Beyond ASCII there are more digits.)
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw) > len(text) or len(raw) - len(raw.translate(None, _DIGITS)) >= 12 or "+1" in text:
        for pattern in (_RIB, _NIR, _ROUNDED):
            text = pattern.sub(NUMBER, text)
    return text
