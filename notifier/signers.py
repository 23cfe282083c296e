"""``[approval]``: whose signatures an approval takes, and who wrote the texts and so may not sign for them. Pure.

A signer's key is one line of OpenSSH, as ``~/.ssh/id_ed25519.pub`` holds it. ssh-ed25519 and ssh-rsa are taken: these
two anybody can check offline with a standard library alone, which is what a proof is for.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

ED25519, RSA = "ssh-ed25519", "ssh-rsa"
RSA_BITS = 2048  # at least

Words = Annotated[str, Field(min_length=1, max_length=200)]

# The y coordinates of the points of small order and of their other spellings: "signatures" under such a key need no
# secret (RFC 8032 5.1.7; the list is the one that libsodium refuses).
_P = 2**255 - 19
_ANYBODYS = {
    0,
    1,
    _P - 1,
    int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"),
    int.from_bytes(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"),
}


class Signer(BaseModel):
    """``[[approval.signers]]``: somebody whose signature counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Words
    role: Words
    public_key: str

    @field_validator("name", "role")
    @classmethod
    def _can_be_seen(cls, value: str) -> str:
        if not value.strip() or not value.isprintable():
            raise ValueError("one line of text, without control characters")
        return value

    @field_validator("public_key")
    @classmethod
    def _a_key(cls, value: str) -> str:
        key_blob(value)
        return value

    @property
    def blob(self) -> bytes:
        """The key itself (RFC 4253 6.6), without its comment."""
        return key_blob(self.public_key)


class ApprovalSection(BaseModel):
    """``[approval]``: how many signatures an approval needs. ``author``: of the texts and the plan; never a signer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    required: Literal[0, 1, 2] = 0
    author: str = ""
    signers: tuple[Signer, ...] = ()

    @field_validator("required", mode="before")
    @classmethod
    def _from_the_environment(cls, value: object) -> object:
        return int(value) if isinstance(value, str) and value.isdigit() else value

    @model_validator(mode="after")
    def _four_eyes(self) -> ApprovalSection:
        names = [same_name(signer.name) for signer in self.signers]
        if len(set(names)) < len(names):
            raise ValueError("two signers have the same name")
        if len({signer.blob for signer in self.signers}) < len(names):
            raise ValueError("two signers have the same key")
        if self.required > len(names):
            raise ValueError(f"{self.required} signatures are required, and {len(names)} signers are named")
        if self.required and not self.author.strip():
            raise ValueError("author is missing: name who wrote the texts, and does not sign for them")
        if same_name(self.author) in names:
            raise ValueError("who wrote the texts does not sign for them: author is one of the signers")
        return self


def same_name(name: str) -> str:
    """What two spellings of a name have in common."""
    return " ".join(name.split()).casefold()


def key_blob(line: str) -> bytes:
    """The key of ``type base64 [comment]``. Raises ValueError, with what to do, for any other line."""
    kind, _, rest = line.strip().partition(" ")
    if kind not in (ED25519, RSA):
        raise ValueError("a public key is a line that begins with ssh-ed25519 or ssh-rsa (ssh-keygen -t ed25519)")
    encoded = rest.strip().partition(" ")[0]
    try:
        blob = base64.b64decode(encoded, validate=True)
        key = parse_key(blob)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"the public key is damaged: {error}") from error
    if key[0] != kind or base64.b64encode(blob).decode() != encoded:
        raise ValueError("the public key is damaged: its parts contradict each other")
    return blob


def parse_key(blob: bytes) -> tuple[str, bytes, int]:
    """(type, the 32 bytes of an Ed25519 key, 0) or (type, modulus, exponent) of an RSA key. Raises ValueError."""
    fields = list(ssh_strings(blob))
    kind = fields[0].decode("ascii", "replace") if fields else ""
    if kind == ED25519 and len(fields) == 2 and len(fields[1]) == 32:
        if (int.from_bytes(fields[1], "little") & ((1 << 255) - 1)) % _P in _ANYBODYS:
            raise ValueError("with this key anybody could sign")
        return kind, fields[1], 0
    if kind == RSA and len(fields) == 3:
        exponent, modulus = (int.from_bytes(part, "big") for part in fields[1:])
        if modulus.bit_length() < RSA_BITS or not modulus & 1 or exponent < 3 or not exponent & 1:
            raise ValueError(f"an RSA key has {RSA_BITS} bits or more")
        return kind, fields[2].lstrip(b"\0"), exponent
    raise ValueError("it is no key of a kind that is taken")


def ssh_strings(blob: bytes) -> Iterator[bytes]:
    """The strings of a blob (RFC 4251 5), to its last byte. Raises ValueError if they do not fill it."""
    position = 0
    while position < len(blob):
        length = int.from_bytes(blob[position : position + 4], "big")
        position += 4
        if position + length > len(blob):
            raise ValueError("it is cut short")
        yield blob[position : position + length]
        position += length
