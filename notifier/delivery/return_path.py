"""Return paths: each delivery has one of its own, so that what comes back says by itself what it is about (VERP). Pure,
given the keys.

``bounces+TOKEN.CODE@DOMAIN``: the token is the delivery's (32 hex digits), the code 80 bits of a keyed digest over it.
Anybody may write to such an address (DOMAIN D3): whoever does not hold the reference key cannot make one, and a code
belongs to one token alone, so that a returned mail cannot speak of another person's delivery. 61 characters before the
@, in lower case, because some servers fold it (RFC 5321 4.5.3.1.1 allows 64). Neither address nor name is in it (I8).
"""

from __future__ import annotations

import hmac
import re

from notifier.vault import Vault

CODE_BYTES = 10  # RFC 2104 5: a code is not cut below 80 bits

_LOCAL = re.compile(r"bounces\+([0-9a-f]{32})\.([0-9a-f]{20})")


def return_path(vault: Vault, token: bytes, domain: str) -> str:
    """The envelope's sender for one delivery; the same for all its attempts."""
    return f"bounces+{token.hex()}.{_code(vault, token)}@{domain}"


def delivery_token(vault: Vault, address: str) -> bytes | None:
    """The delivery that an address of :func:`return_path` was made for; None for any other address, be it foreign,
    forged, or altered in a single letter. Its case does not matter; its domain is for the caller to judge."""
    local, at, _ = address.strip().strip("<>").rpartition("@")
    match = _LOCAL.fullmatch(local.lower()) if at else None
    if match is None:
        return None
    token = bytes.fromhex(match[1])
    return token if hmac.compare_digest(match[2], _code(vault, token)) else None


def _code(vault: Vault, token: bytes) -> str:
    return vault.token("return", token.hex())[:CODE_BYTES].hex()
