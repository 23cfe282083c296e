"""What an approval binds of campaign.toml (I7), as JSON: frozen with the batch, compared before sending. Pure.

Bound: the facts in the texts, the senders, the relay's identity, households, doubt and pace policies. Not bound: how
fast, in all and to single providers, and over how many sessions (an operator must be able to slow down), retries, where
key and database lie; and the
names under which exports write a sender: they decide whose a row is when its file comes in, the batch holds its
notifications with their sender, and no text shows them. A name that frees a held file must not stop what was approved.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from notifier.campaign import PaceSection, Settings

_CAMPAIGN = {"name", "sample", "language", "timezone", "legal_basis"}
# Of the relay's authorities their file's digest is bound; the file may move.
_RELAY = {"host", "port", "tls", "ca_sha256", "allow_plaintext"}
_PACE = set(PaceSection.model_fields) - {"rates"}
# Of a DKIM key its selector and its public half's digest are bound; the file may move, and is nobody's to copy.
_NOT_BOUND = {"names", "dkim_key", "dkim_ed25519_key"}
_SHOWN = 60  # characters of a value that a difference quotes


def bound_settings(settings: Settings, wave: str = "") -> dict[str, Any]:
    """The bound part, as JSON values; of what is said for single rounds, only what is said for ``wave``."""
    bound = settings.model_dump(
        mode="json",
        include={
            "campaign": _CAMPAIGN,
            "relay": {**dict.fromkeys(_RELAY, True), "fallback": _RELAY},
            "households": True,
            "doubt": True,
            "pace": _PACE,
            "incidents": True,
            "senders": True,
            "drill": True,
        },
    )
    if bound["relay"].get("fallback") is None:
        bound["relay"].pop("fallback", None)
    if words := settings.waves.get(wave):
        bound["waves"] = {wave: words.model_dump(mode="json")}
    return _without_names(bound)


def _without_names(bound: Mapping[str, Any]) -> dict[str, Any]:
    if "senders" not in bound:
        return dict(bound)
    senders = [{key: value for key, value in sender.items() if key not in _NOT_BOUND} for sender in bound["senders"]]
    return {**bound, "senders": senders}


def frozen_settings(bound: Mapping[str, Any]) -> Settings:
    """Settings that say of everything bound what was approved; all else is at its default. For rendering."""
    senders = [{**sender, "names": ()} for sender in bound["senders"]]
    return Settings.model_validate({**bound, "senders": senders, "key": {"path": "frozen"}})


def canonical_json(body: object) -> str:
    """One spelling (RFC 8785 for what we use of it): sorted keys, no white space."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(body: object) -> str:
    """SHA-256 over the canonical JSON, hex."""
    return hashlib.sha256(canonical_json(body).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Wording:
    """How a difference is told: of a value that is new, that is gone, that moved. ``{old}``, ``{new}``: the values."""

    new: str
    gone: str
    moved: str


SINCE_APPROVAL = Wording("new: {new}", "taken out, approved {old}", "approved {old}, now {new}")


def differences(approved: Mapping[str, Any], now: Mapping[str, Any], wording: Wording = SINCE_APPROVAL) -> list[str]:
    """Which values differ, each with the old and the new one: ``relay.port (approved 587, now 25)``."""
    then, current = dict(_leaves("", _without_names(approved))), dict(_leaves("", _without_names(now)))
    told = []
    for path in sorted(then.keys() | current.keys()):
        if path not in then:
            told.append(f"{path} ({wording.new.format(new=_shown(current[path]))})")
        elif path not in current:
            told.append(f"{path} ({wording.gone.format(old=_shown(then[path]))})")
        elif then[path] != current[path]:
            old, new = _apart(then[path], current[path])
            told.append(f"{path} ({wording.moved.format(old=old, new=new)})")
    return told


def _leaves(path: str, value: object) -> Iterator[tuple[str, object]]:
    """Every single value with its path; incidents and senders by their code, not by their place."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}" if path else str(key), inner)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for place, inner in enumerate(value):
            code = inner.get("code") if isinstance(inner, Mapping) else None
            yield from _leaves(f"{path}.{code if code is not None else place}", inner)
    else:
        yield path, value


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _apart(old: object, new: object) -> tuple[str, str]:
    """Both values; of long ones the place where they part, or they would look alike."""
    texts = [json.dumps(value, ensure_ascii=False) for value in (old, new)]
    if max(map(len, texts)) <= _SHOWN:
        return texts[0], texts[1]
    common = next((place for place, (one, two) in enumerate(zip(*texts, strict=False)) if one != two), 0)
    begins = max(0, common - _SHOWN // 3) if common > _SHOWN // 2 else 0
    shown = []
    for text in texts:
        part = text[begins : begins + _SHOWN]
        shown.append(("…" if begins else "") + part + ("…" if begins + _SHOWN < len(text) else ""))
    return shown[0], shown[1]
