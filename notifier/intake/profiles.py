"""Profiles: which heading of a file means what, and what a row exposes. Data, not code (data/profiles/NAME.toml).

A campaign folder may put its own file over a shipped profile, or beside it: a new layout is a new profile.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shlex
import tomllib
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from notifier.campaign import Incident, Sender, categories, resource, shipped
from notifier.errors import ExportError, SettingsError
from notifier.intake.encodings import FORCED
from notifier.intake.headings import normal_heading
from notifier.model import Exposure, PersonKind, canonical_exposures
from notifier.people.identity import normal_name

Kind = Literal["export", "directory"]

_INSURED = "nir nir_key name forename birth_date birth_rank insurer contract member_number guarantees categories"
_PROFESSIONAL = (
    "company name forename profession email phone address postcode city login rib siret finess rpps insurer categories"
)
_MEMBER = (
    "member_number nir nir_key birth_date birth_rank name birth_name forename civility link email email2 "
    "email_opposition protection guardian address1 address2 postcode city contract contract_year language status "
    "insurer format"
)
ROLES: Mapping[tuple[Kind, PersonKind], frozenset[str]] = {
    ("export", PersonKind.INSURED): frozenset(_INSURED.split()),
    ("export", PersonKind.PROFESSIONAL): frozenset(_PROFESSIONAL.split()),
    ("directory", PersonKind.INSURED): frozenset(_MEMBER.split()),
}
"""What a column can mean, per kind of file. A role that a file has no column for reads as empty."""

IGNORED = "_ignored_"
REMEMBERED = 1 << 16  # spellings of senders; a hostile file has as many as rows
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Listed(_Frozen):
    """``[exposures.listed]``: a column that lists categories; ``words``: category → how the column writes it."""

    column: str
    separator: str = ","
    words: Mapping[str, tuple[str, ...]]


class Exposing(_Frozen):
    """``[exposures]``: the categories of a row. ``filled``: category → role whose cell must hold something."""

    always: tuple[str, ...] = ()
    filled: Mapping[str, str] = Field(default_factory=dict)
    listed: Listed | None = None


class Profile(_Frozen):
    """One layout. ``columns`` and ``optional``: role → headings. ``ignored``: headings of columns that nobody reads.
    ``values``: role → our word → the file's words. ``encoding``: of the file, instead of what its bytes say."""

    kind: Kind
    person: PersonKind = PersonKind.INSURED
    incident: str = ""
    encoding: str = ""
    ignored: tuple[str, ...] = ()
    columns: Mapping[str, tuple[str, ...]]
    optional: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    exposures: Exposing = Exposing()
    values: Mapping[str, Mapping[str, tuple[str, ...]]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _roles_are_known(self) -> Profile:
        known = self.roles
        used = [*self.columns, *self.optional, *self.values, *self.exposures.filled.values()]
        if self.exposures.listed:
            used.append(self.exposures.listed.column)
        if unknown := sorted(set(used) - known):
            raise ValueError(f"unknown role {', '.join(unknown)} (known: {', '.join(sorted(known))})")
        if doubled := sorted(set(self.columns) & set(self.optional)):
            raise ValueError(f"{doubled[0]} is both required and optional")
        if self.encoding and self.encoding not in FORCED:
            raise ValueError(f"encoding: {self.encoding!r} is not one of {', '.join(FORCED)}")
        meanings: dict[str, str] = {}
        for role, headings in (*self.columns.items(), *self.optional.items()):
            for heading in headings:
                if meanings.setdefault(normal_heading(heading), role) != role:
                    raise ValueError(f"the heading {heading!r} stands for two roles")
        for heading in self.ignored:
            if not normal_heading(heading) or normal_heading(heading) in meanings:
                raise ValueError(f"ignored: the heading {heading!r} is blank, or stands for a role")
        return self

    @property
    def roles(self) -> frozenset[str]:
        try:
            return ROLES[self.kind, self.person]
        except KeyError as error:
            raise ValueError(f"a {self.kind} holds no {self.person}") from error

    @cached_property
    def by_heading(self) -> dict[str, str]:
        """Normal heading → role; an ignored column has a role of its own, which no row is asked for."""
        every = (*self.columns.items(), *self.optional.items())
        unread = {(key := normal_heading(heading)): f"{IGNORED}{key}" for heading in self.ignored}
        return unread | {normal_heading(heading): role for role, headings in every for heading in headings}

    def words(self, role: str) -> dict[str, str]:
        """Normal form of the file's word → ours, for one role."""
        return {normal_name(word): ours for ours, words in self.values.get(role, {}).items() for word in words}

    def exposed(self, incident: str, filled: Iterable[str], listed: str) -> str:
        """The canonical set of exposures of a row whose cells of the roles ``filled`` hold something. Raises
        ExportError when the listing column names a category that the profile does not know: it would be a gap in
        the notice, and nobody would see it."""
        there = set(filled)
        found = {*self.exposures.always, *(code for code, role in self.exposures.filled.items() if role in there)}
        if self.exposures.listed and listed:
            rule = self.exposures.listed
            meaning = {normal_name(word): code for code, words in rule.words.items() for word in words}
            for word in filter(None, (normal_name(part) for part in listed.split(rule.separator))):
                if word not in meaning:
                    raise ExportError(
                        f"the column of categories names one that the profile does not know: {word[:40]}; "
                        "add it to [exposures.listed.words]"
                    )
                found.add(meaning[word])
        return canonical_exposures(Exposure(incident, code) for code in found)


def load(folder: Path, name: str, kind: Kind | None) -> tuple[Profile, str]:
    """The profile ``name`` and its text; the campaign's own before the shipped one. ``kind``: None takes either.
    Raises SettingsError."""
    path = resource(folder, "data", f"profiles/{name}.toml")
    if not _NAME.fullmatch(name) or not path.is_file():
        known = ", ".join(sorted(_known(folder)))
        raise SettingsError(f"there is no profile {name!r} (there: {known})")
    try:
        text = path.read_text(encoding="utf-8")
        profile = Profile.model_validate(tomllib.loads(text))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        message = {"extra_forbidden": "no such setting", "missing": "missing"}.get(fault["type"], fault["msg"])
        what = message.removeprefix("Value error, ")
        raise SettingsError(f"{path}: {where}: {what}" if where else f"{path}: {what}") from error
    if kind and profile.kind != kind:
        command = "intake" if profile.kind == "export" else "directory"
        raise SettingsError(f"the profile {name} is for `notifier {command}`")
    _check_categories(profile, path, set(categories(folder)))
    return profile, text


def every(folder: Path) -> list[tuple[str, Profile]]:
    """The profiles that can be read, by name; one that cannot is nobody's here."""
    found = []
    for name in sorted(_known(folder)):
        with contextlib.suppress(SettingsError):
            found.append((name, load(folder, name, None)[0]))
    return found


def _known(folder: Path) -> set[str]:
    return {path.stem for root in (shipped("data"), folder / "data") for path in (root / "profiles").glob("*.toml")}


def _check_categories(profile: Profile, path: Path, known: set[str]) -> None:
    rule = profile.exposures
    used = {*rule.always, *rule.filled, *(rule.listed.words if rule.listed else ())}
    if unknown := sorted(used - known):
        raise SettingsError(f"{path}: exposures: data/categories.toml has no category {', '.join(unknown)}")
    if profile.kind == "export" and not used:
        raise SettingsError(f"{path}: exposures: a row that exposes nothing informs nobody; name the categories")


def settings_digest(profile: Profile, incident: str, own_rules: str = "") -> str:
    """SHA-256 over what decides the reading of a file beside its bytes: what the profile says, and the incident. A
    comment in the profile decides nothing; how exports write each sender is compared on its own (Senders.reads_alike):
    a name more must not make every file that was read without it look new. ``own_rules``: the campaign's own
    data/mailboxes.toml."""
    said = profile.model_dump(mode="json", exclude_defaults=True)
    decides = [said, incident, own_rules] if own_rules else [said, incident]
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


class Senders:
    """How exports write each sender. A name that fits nobody is counted, never given to somebody (I2). ``unknown``: how
    many rows give each such cell."""

    def __init__(self, senders: Iterable[Sender]) -> None:
        self._codes: dict[str, str] = {}
        self._any = ""
        self.unknown: dict[str, int] = {}
        self._met: dict[str, str] = {}  # normal name → sender, of the names that a row gave
        self._met_any = False
        for sender in senders:
            for name in sender.names:
                if name == "*":
                    if self._any not in ("", sender.code):
                        raise SettingsError(f'senders: {self._any} and {sender.code} both take any name ("*")')
                    self._any = sender.code
                elif self._codes.setdefault(normal_name(name), sender.code) != sender.code:
                    raise SettingsError(f"senders: the name {name!r} belongs to two senders")
        self._remembered: dict[str, str] = {}

    def of(self, cells: Iterable[str]) -> list[str]:
        """The sender's code for each cell; "" when no sender has that name (:meth:`miss` counts it, once the row is
        known to be of use)."""
        known, codes = self._remembered, []
        for cell in cells:
            code = known.get(cell)
            if code is None:
                code = self._find(normal_name(cell))
                if code and len(known) < REMEMBERED:
                    known[cell] = code
            codes.append(code)
        return codes

    def miss(self, cells: Iterable[str]) -> None:
        """Count the names of rows that would be records, had they a sender. A row that is rejected anyway asks nobody
        for a name."""
        for cell in cells:
            self.unknown[cell] = self.unknown.get(cell, 0) + 1

    def of_operator(self, incident: Incident) -> str:
        """Who informs the professionals of this incident's operator: the sender with its name, else the one that
        takes any. Raises SettingsError."""
        code = self._find(normal_name(incident.operator))
        if not code:
            raise SettingsError(
                f"senders: nobody writes to the professionals of {incident.operator}: "
                f"`notifier senders add-name CODE {shlex.quote(incident.operator)}` says which of [[senders]] does"
            )
        return code

    def _find(self, name: str) -> str:
        """Whose name it is, and take note of it; "" = nobody's."""
        code = self._codes.get(name)
        if code is not None:
            self._met[name] = code
            return code
        self._met_any = True
        return self._any

    def knows(self, name: str) -> bool:
        """Whether some sender has this name, or takes any."""
        return bool(self._any) or normal_name(name) in self._codes

    def met(self) -> str:
        """What a reading made use of, as JSON for :meth:`reads_alike`: names that campaign.toml gives, never others."""
        used: dict[str, object] = {"names": self._met}
        if self._met_any:
            # A name that campaign.toml gave then and no row did can change nothing; a later one may be among the rows.
            used |= {"any": self._any, "not_met": sorted(self._codes.keys() - self._met.keys())}
        return json.dumps(used, sort_keys=True, ensure_ascii=False)

    def reads_alike(self, met: str) -> bool:
        """Whether a file that was read with these names would have every row with the same sender today. In doubt
        (rows whose name nobody had and a "*" took, and a new name) it says no."""
        used = json.loads(met or "{}")
        names: dict[str, str] = used.get("names", {})
        if any(self._codes.get(name, self._any) != code for name, code in names.items()):
            return False
        if "any" not in used:
            return True
        new = self._codes.keys() - names.keys() - set(used["not_met"])
        return self._any == used["any"] and all(self._codes[name] == self._any for name in new)
