"""The campaign.toml of a drill: the sample's, or that of a real campaign with its texts, never with its persons.

What is taken from a campaign: senders, incidents, language and time zone, its policies, its templates and categories;
with own addresses to write to, its relay too. What is never taken, nor even opened: its key, its database, its files.
Every person of a drill is invented.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomlkit

from notifier.campaign import Settings, shipped
from notifier.errors import SettingsError
from notifier.foundation import SAMPLE_KEY

COPIED_DATA = ("categories.toml", "public-services.toml")
COPIED_TEXTS = {".md", ".html", ".toml"}
OPERATORS = ("viamedis", "almerys")  # whose layouts the invented exports have
SINK: Mapping[str, Any] = {"host": "127.0.0.1", "tls": "none", "connections": 4, "rate": 0}
SINK_RETRY: Mapping[str, Any] = {"first_seconds": 1, "max_seconds": 5, "give_up_hours": 1}


def drill_settings(
    source: Settings,
    sample: Settings,
    *,
    sender: str,
    policies: Mapping[str, str],
    recipients: Sequence[str],
    sink_port: int | None,
) -> str:
    """The text of a drill's campaign.toml. ``sender``: who takes all of the invented exports' rows; ``policies``:
    ``adult_dependants`` and ``doubt``, as decided; ``sink_port``: of the built-in sink, None for the campaign's relay.
    What the source has not filled in is the sample's."""
    told = source.model_dump(mode="json", exclude_none=True)
    body: dict[str, Any] = {
        "database": "sqlite:///campaign.db",
        "campaign": {**told["campaign"], "name": f"EXERCICE – {source.campaign.name}"},
        "drill": {"recipients": list(recipients)},
        "key": {"path": SAMPLE_KEY, "backed_up": True},
        "relay": {**SINK, "port": sink_port} if sink_port is not None else told["relay"],
        "retry": dict(SINK_RETRY) if sink_port is not None else told["retry"],
        "intake": told["intake"],
        "households": {"adult_dependants": policies["adult_dependants"]},
        "doubt": {"policy": policies["doubt"]},
    }
    if sink_port is None and source.relay.connections is None:
        body["relay"]["connections"] = 1
    if sink_port is None and source.relay.rate is None:
        body["relay"]["rate"] = 1
    filled = source if source.incidents else sample
    body["incidents"] = filled.model_dump(mode="json", exclude_none=True)["incidents"]
    filled = source if source.senders else sample
    body["senders"] = [
        {**each, "names": ["*"] if each["code"] == sender else [name for name in each["names"] if name != "*"]}
        for each in filled.model_dump(mode="json", exclude_none=True)["senders"]
    ]
    blanked = _without_blanks(body)
    assert isinstance(blanked, dict)
    return tomlkit.dumps(blanked)


def _without_blanks(body: object) -> object:
    """Empty texts and tables left out, so that the file reads like one that somebody wrote."""
    if isinstance(body, dict):
        return {key: _without_blanks(value) for key, value in body.items() if value not in ({}, "")}
    return [_without_blanks(each) for each in body] if isinstance(body, list) else body


def choose_sender(settings: Settings, wanted: str) -> str:
    """The code of the sender that is rehearsed: ``wanted``, or the first. Raises SettingsError if there is none."""
    if wanted:
        return settings.sender(wanted).code
    if not settings.senders:
        raise SettingsError("there is no [[senders]] to rehearse")
    return settings.senders[0].code


def copy_texts(source: Path | None, folder: Path, incidents: Sequence[str]) -> None:
    """Templates and categories of ``source`` (None: those that ship) into a drill's ``folder``, and profiles of the
    invented exports that say which of ``incidents`` a file belongs to: the first operator's the first, the second's
    the second, or the only one."""
    if source is not None:
        texts = source / "templates"
        for path in sorted(texts.rglob("*")) if texts.is_dir() else ():
            if path.is_file() and path.suffix in COPIED_TEXTS:
                _copy(path, folder / "templates" / path.relative_to(texts))
        for name in COPIED_DATA:
            if (source / "data" / name).is_file():
                _copy(source / "data" / name, folder / "data" / name)
    for number, operator in enumerate(OPERATORS):
        code = operator if operator in incidents else incidents[min(number, len(incidents) - 1)]
        for person in ("insured", "professional"):
            name = f"{operator}-{person}.toml"
            text = (shipped("data") / "profiles" / name).read_text("utf-8")
            target = folder / "data" / "profiles" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text.replace(f'incident = "{operator}"', f'incident = "{code}"'), encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
