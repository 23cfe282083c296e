"""campaign.toml, validated once into frozen settings.

Any setting can be overridden by ``NOTIFIER_<SECTION>__<KEY>`` (``NOTIFIER_RELAY__HOST``; top-level keys without
section, ``NOTIFIER_DATABASE``). A wrong key, in the file or in an override, is a :class:`SettingsError` that names its
path. Folders ``templates/`` and ``data/`` inside the campaign folder override the shipped ones file by file.
"""

from __future__ import annotations

import ipaddress
import os
import shlex
import tomllib
from collections.abc import Mapping
from datetime import date, datetime, time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from notifier.errors import SettingsError
from notifier.model import Audience, DataCategory
from notifier.signers import ApprovalSection
from notifier.toml_lines import TomlLines
from notifier.translations import IncidentTranslation, LanguageCode, SenderTranslation, WaveTranslation

FILE = "campaign.toml"
PREFIX = "NOTIFIER_"
_NOT_SETTINGS = {
    "NOTIFIER_CAMPAIGN",
    "NOTIFIER_KEY",
    "NOTIFIER_LOOP",
    "NOTIFIER_RELAY_PASSWORD",
    "NOTIFIER_RELAY_KEY_PASSWORD",
    "NOTIFIER_RELAY_FALLBACK_PASSWORD",
    "NOTIFIER_RELAY_FALLBACK_KEY_PASSWORD",
    "NOTIFIER_ARCHIVE_PASSWORD",
    # What delivery/wake.py tells a program, which may well run `notifier status`.
    "NOTIFIER_EVENT",
    "NOTIFIER_REASON",
    "NOTIFIER_CAMPAIGN_NAME",
    "NOTIFIER_ACCEPTED",
    "NOTIFIER_DEFERRED",
    "NOTIFIER_REFUSED",
    "NOTIFIER_EXPIRED",
    "NOTIFIER_IN_DOUBT",
    "NOTIFIER_UNMADE",
    "NOTIFIER_HELD",
    "NOTIFIER_LETTERS",
    "NOTIFIER_REMAINING",
}
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Text = Annotated[str, Field(min_length=1)]
Selector = Annotated[
    str, Field(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*)?$", max_length=63)
]
Code = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=40)]


class Tls(StrEnum):
    """How the session with the relay is encrypted."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    NONE = "none"


class CampaignSection(_Frozen):
    """``[campaign]``: what this work is."""

    name: Text
    sample: bool = False
    language: str = "fr"
    timezone: str = "Europe/Paris"
    observe_days: Annotated[int, Field(ge=0)] = 5
    legal_basis: str = "RGPD, article 34"
    notify_by: date | None = None
    late_because: str = ""  # who accepted, when and why, that notify_by is missed

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"unknown time zone {value!r}") from error
        return value


class RelayAccess(_Frozen):
    """One server that takes messages. ``rate`` in messages per second, 0 = no limit. The waits are those of RFC 5321
    4.5.3.2: ``reply_seconds`` for MAIL, RCPT and RSET, ``data_seconds`` for the 354, ``block_seconds`` while a body is
    written, ``final_reply_seconds`` after the final dot. ``auth``: the login's method, "" = PLAIN, else LOGIN. Files
    are relative to the campaign folder. ``ca_sha256``: of ``ca_file``, read when the campaign is opened and never
    written by hand."""

    host: str = ""
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    tls: Tls = Tls.STARTTLS
    rate: Annotated[float, Field(ge=0)] | None = None
    burst: Annotated[int, Field(ge=1)] = 1
    username: str = ""
    password_file: Path | None = None
    auth: Literal["", "plain", "login"] = ""
    ca_file: Path | None = None
    ca_sha256: str = ""
    client_cert: Path | None = None
    client_key: Path | None = None
    allow_plaintext: bool = False
    messages_per_connection: Annotated[int, Field(ge=1)] = 100
    pipelining: bool = True
    connect_seconds: Annotated[float, Field(gt=0)] = 30
    reply_seconds: Annotated[float, Field(gt=0)] = 300
    data_seconds: Annotated[float, Field(gt=0)] = 120
    block_seconds: Annotated[float, Field(gt=0)] = 180
    final_reply_seconds: Annotated[float, Field(gt=0)] = 600

    @field_validator("host")
    @classmethod
    def _can_be_looked_up(cls, value: str) -> str:
        if value and not _is_address(value) and not _is_name(value):
            raise ValueError("is no server's name or address: write smtp.example.org, and the port in port")
        return value

    @model_validator(mode="after")
    def _plaintext_is_decided(self) -> Self:
        if self.tls is Tls.NONE and self.host and not self.allow_plaintext and self.host not in _LOOPBACK:
            raise ValueError('tls = "none" is for a loopback host, or set allow_plaintext = true')
        return self

    @model_validator(mode="after")
    def _certificate_is_usable(self) -> Self:
        if self.client_key is not None and self.client_cert is None:
            raise ValueError("client_key is set: set client_cert too")
        if self.client_cert is not None and self.tls is Tls.NONE:
            raise ValueError('client_cert is for TLS, and tls = "none"')
        return self

    @property
    def name(self) -> str:
        """The relay in the pace table, in the journal and in errors."""
        return f"{self.host}:{self.port}"

    def seen_from_elsewhere(self, folder: Path) -> Self:
        """The same for a campaign in another folder than ``folder``, its own: files by their whole path."""
        named = {name: getattr(self, name) for name in ("password_file", "ca_file", "client_cert", "client_key")}
        whole = {name: folder.resolve() / path for name, path in named.items() if path is not None}
        return self.model_copy(update=whole)


class RelaySection(RelayAccess):
    """``[relay]``: the server that takes the messages. ``[relay.fallback]``: the one that takes them for the rest of a
    run when the first does not answer for its patience."""

    connections: Annotated[int, Field(ge=1, le=200)] | None = None
    window: Annotated[int, Field(ge=1)] | None = None
    fallback: RelayAccess | None = None

    def seen_from_elsewhere(self, folder: Path) -> Self:
        seen = super().seen_from_elsewhere(folder)
        fallback = self.fallback and self.fallback.seen_from_elsewhere(folder)
        return seen.model_copy(update={"fallback": fallback})

    @model_validator(mode="after")
    def _fallback_is_another(self) -> Self:
        if self.fallback is not None and not self.fallback.host:
            raise ValueError("fallback.host is not set")
        if self.fallback is not None and self.fallback.name == self.name:
            raise ValueError("fallback is the same server as the first")
        return self


class RetrySection(_Frozen):
    """``[retry]``: RFC 5321 4.5.4.1. ``first_seconds`` is the delay after the first 4xx; later ones grow from it."""

    first_seconds: Annotated[float, Field(gt=0)] = 900
    max_seconds: Annotated[float, Field(gt=0)] = 43200
    give_up_hours: Annotated[float, Field(gt=0)] = 72


class PaceSection(_Frozen):
    """``[pace]``: when to send and how much, beside the relay's rate. ``hours``: of every day, in the campaign's time
    zone ("" = at any hour); ``hotline_per_hour``, ``hotline_per_day``: deliveries begun per local hour and day;
    ``canary``: pause once so many were begun, until somebody resumes (None, 0 = no pause); ``providers``: keep the
    paces that data/providers.toml proposes; ``rates``: messages per second for single providers, whether or not the
    others are kept (0 = none); ``warm_up``: at most so many on the first, second … local day since the campaign's first
    attempt (days without mail count too), after the last no such cap."""

    providers: bool = False
    rates: Mapping[Code, Annotated[float, Field(ge=0)]] = {}
    warm_up: tuple[Annotated[int, Field(ge=1)], ...] = ()
    hours: str = ""
    hotline_per_hour: Annotated[int, Field(ge=1)] | None = None
    hotline_per_day: Annotated[int, Field(ge=1)] | None = None
    canary: Annotated[int, Field(ge=0)] | None = None

    @field_validator("hours")
    @classmethod
    def _a_span(cls, value: str) -> str:
        if value:
            try:
                first, last = (time.fromisoformat(part.strip()) for part in value.split("-"))
            except ValueError as error:
                raise ValueError('hours are written "08:00-20:00"') from error
            if not first < last:
                raise ValueError("hours end after they begin")
        return value


class HouseholdsSection(_Frozen):
    """``[households]``: how adult dependants without a mailbox of their own are told (DESIGN 7)."""

    adult_dependants: Literal["letter", "contract_mailbox"] | None = None


class IntakeSection(_Frozen):
    """``[intake]``: above which share of rejected rows a file is held until somebody accepts it, and how many members
    with one e-mail address make it nobody's own (an agency's, typed in for those without one)."""

    rejections_limit: Annotated[float, Field(ge=0, le=1)] = 0.05
    shared_mailbox: Annotated[int, Field(ge=2)] = 100


class DoubtSection(_Frozen):
    """``[doubt]``: what becomes of a delivery whose final dot may have gone out (RFC 1047)."""

    policy: Literal["resend", "hold"] = "resend"


class SendSection(_Frozen):
    """``[send]``: programs that wake somebody up, run without a shell: a list of arguments, or one line that is split
    as a shell would. ``on_pause_command``: the campaign was paused, or a run broke off; ``on_finish_command``: nothing
    is left to send; ``command_seconds``: how long one may take. Whoever may write campaign.toml may name them.

    ``metrics_port``: where a running `send` answers Prometheus, on ``metrics_host`` (0 = nowhere).

    ``processes``: beside the one that sends; the first writes the journal, and the messages are made by the others, or
    where there are none by the first. None = for a list of 2,000 or more one for each processor but one, 4 at most; 0 =
    the sender does all of it itself."""

    on_pause_command: tuple[Text, ...] = ()
    on_finish_command: tuple[Text, ...] = ()
    command_seconds: Annotated[float, Field(gt=0, le=600)] = 30
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 0
    metrics_host: Text = "127.0.0.1"
    processes: Annotated[int, Field(ge=0, le=32)] | None = None

    @field_validator("on_pause_command", "on_finish_command", mode="before")
    @classmethod
    def _words(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return shlex.split(value)
        except ValueError as error:
            raise ValueError(f"cannot be split into a program and its arguments: {error}") from error


class DrillSection(_Frozen):
    """``[drill]``: this is a rehearsal (``drill run`` writes the section; its key is of another kind). ``recipients``:
    own addresses, to which alone it may write; none: a sink on this machine takes everything."""

    recipients: tuple[Text, ...] = ()


class DnsSection(_Frozen):
    """``[dns]``: whom `check` asks about the senders' domains. ``server``: an address, or address:port; "" = this
    machine's. ``seconds``: for all questions together."""

    server: str = ""
    seconds: Annotated[float, Field(gt=0, le=30)] = 3


class KeySection(_Frozen):
    """``[key]``: where the key file lies. Relative to the campaign folder. ``backed_up``: somebody says that a copy
    lies in a safe place; ``backup``: where, if this machine can reach it, so that `check` looks at it."""

    path: Path
    backed_up: bool = False
    backup: Path | None = None


class Helpline(_Frozen):
    """A telephone number for one audience, and when it answers."""

    phone: Text
    hours: str = ""


class Sender(_Frozen):
    """``[[senders]]``: who writes. ``names``: how exports write this sender (``["*"]`` = any).

    ``dkim_key``: the RSA key with which we sign (dkim.py), relative to the campaign folder; ``dkim_selector`` without
    a key: the relay signs, under this selector. ``dkim_public``: selector → SHA-256 of the public key, read from the
    keys when the campaign is opened and never written by hand."""

    code: Code
    names: tuple[Text, ...]
    brand: Text
    role: Literal["insurer", "operator"] = "insurer"
    from_address: Text
    reply_to: Text
    bounce_domain: str = ""
    dkim_key: Path | None = None
    dkim_selector: Selector = ""
    dkim_ed25519_key: Path | None = None
    dkim_ed25519_selector: Selector = ""
    dkim_public: Mapping[str, str] = {}
    website: Text
    postal_address: Text
    dpo_name: str = ""
    dpo_address: Text
    helplines: Mapping[str, Helpline]
    translations: Mapping[LanguageCode, SenderTranslation] = {}

    @field_validator("helplines")
    @classmethod
    def _known_audiences(cls, value: Mapping[str, Helpline]) -> Mapping[str, Helpline]:
        known = {*Audience, "default"}
        if unknown := sorted(set(value) - known):
            raise ValueError(f"unknown audience {', '.join(unknown)} (known: {', '.join(sorted(known))})")
        return value

    @property
    def from_domain(self) -> str:
        return self.from_address.rpartition("@")[2].lower()

    def helpline(self, audience: Audience) -> Helpline | None:
        """The number for this audience; never another audience's (DOMAIN F: a professionals' line is theirs)."""
        return self.helplines.get(audience.value) or self.helplines.get("default")


class NotExposed(_Frozen):
    """What did not come out: a dated statement of somebody, affirmed or conditional (DESIGN 3)."""

    what: Text
    source: Text
    dated: date
    mood: Literal["affirmed", "conditional"]
    audiences: tuple[Audience, ...] = (Audience.INSURED, Audience.DEPENDANT, Audience.PAST_MEMBER)


class Incident(_Frozen):
    """``[[incidents]]``: one breach at one operator, with its facts."""

    code: Code
    operator: Text
    operator_role: str = ""  # what it does for the sender: the rest of a sentence that begins with its name
    occurred: date
    discovered: date
    told: date
    what_happened: Text
    measures: tuple[Text, ...]
    operator_measures: tuple[Text, ...] = ()
    state_of_service: Text
    state_of_service_professionals: str = ""
    portal: str = ""
    not_exposed: tuple[NotExposed, ...] = ()
    unknown_yet: str = ""
    next_news: Text
    complaint: str = ""
    complaint_until: date | None = None
    translations: Mapping[LanguageCode, IncidentTranslation] = {}


class WaveWords(_Frozen):
    """``[waves.NAME]``: what only the campaign can say in a later round of that name. ``wrong``, ``right``: of a
    correction, what we wrote and what is true; ``news``: of a follow-up what is new, of a precaution its reason;
    ``advice``: what to do now, the first thing first. Whole sentences. ``new_incidents``: codes of the incidents that
    the readers of a supplement hear of for the first time, a second breach and not more of the first."""

    wrong: str = ""
    right: str = ""
    news: str = ""
    advice: tuple[Text, ...] = ()
    new_incidents: tuple[Code, ...] = ()
    translations: Mapping[LanguageCode, WaveTranslation] = {}


class Settings(_Frozen):
    """campaign.toml as a whole."""

    database: Text = "sqlite:///campaign.db"
    campaign: CampaignSection
    relay: RelaySection = RelaySection()
    retry: RetrySection = RetrySection()
    pace: PaceSection = PaceSection()
    intake: IntakeSection = IntakeSection()
    households: HouseholdsSection = HouseholdsSection()
    doubt: DoubtSection = DoubtSection()
    send: SendSection = SendSection()
    dns: DnsSection = DnsSection()
    approval: ApprovalSection = ApprovalSection()
    key: KeySection
    incidents: tuple[Incident, ...] = ()
    senders: tuple[Sender, ...] = ()
    waves: Mapping[Code, WaveWords] = {}
    drill: DrillSection | None = None

    @model_validator(mode="after")
    def _codes_are_unique(self) -> Settings:
        for what, codes in (
            ("incidents", [incident.code for incident in self.incidents]),
            ("senders", [sender.code for sender in self.senders]),
        ):
            if doubled := sorted({code for code in codes if codes.count(code) > 1}):
                raise ValueError(f"{what}: the code {doubled[0]!r} stands twice")
        return self

    @model_validator(mode="after")
    def _new_incidents_are_known(self) -> Settings:
        known = {incident.code for incident in self.incidents}
        for name, words in self.waves.items():
            if unknown := sorted(set(words.new_incidents) - known):
                raise ValueError(f"waves.{name}.new_incidents: no [[incidents]] has the code {unknown[0]!r}")
        return self

    def incident(self, code: str) -> Incident:
        for incident in self.incidents:
            if incident.code == code:
                return incident
        known = ", ".join(incident.code for incident in self.incidents) or "none"
        raise SettingsError(f"campaign.toml: no [[incidents]] has the code {code!r} (there: {known})")

    def sender(self, code: str) -> Sender:
        for sender in self.senders:
            if sender.code == code:
                return sender
        known = ", ".join(sender.code for sender in self.senders) or "none"
        raise SettingsError(f"campaign.toml: no [[senders]] has the code {code!r} (there: {known})")

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.campaign.timezone)

    @property
    def window(self) -> int:
        """How many deliveries may be outstanding at once (I5): 4 × connections unless set."""
        return self.relay.window or 4 * (self.relay.connections or 1)


def load(folder: Path, environment: Mapping[str, str] = os.environ, *, file: str = FILE) -> Settings:
    """Read ``folder/campaign.toml`` and the overrides of the environment; raise SettingsError with the key's path.
    ``file``: another name, of one that is to take its place."""
    path = folder / file
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
    except FileNotFoundError as error:
        raise SettingsError(
            f"there is no {FILE} in {folder}: run `notifier init DIR`, or name the campaign with -C"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: {error}") from error
    origins = _override(raw, environment)
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        raise SettingsError(_explain(error, path, origins, TomlLines(text))) from error


def _override(raw: dict[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    """Write each NOTIFIER_… variable into ``raw``; return path → variable, for error texts."""
    origins: dict[str, str] = {}
    for variable, value in sorted(environment.items()):
        if not variable.startswith(PREFIX) or variable in _NOT_SETTINGS:
            continue
        *sections, key = variable[len(PREFIX) :].lower().split("__")
        target = raw
        for section in sections:
            target = target.setdefault(section, {})
            if not isinstance(target, dict):
                raise SettingsError(f"{variable}: [{section}] is a list, and lists are not overridden")
        if isinstance(target.get(key), list | dict):
            raise SettingsError(f"{variable}: {key} is a section or a list, and these are not overridden")
        target[key] = value
        origins[".".join([*sections, key])] = variable
    return origins


def _explain(error: ValidationError, path: Path, origins: Mapping[str, str], lines: TomlLines) -> str:
    told = []
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        where = ".".join(str(part) for part in fault["loc"])
        message = {
            "extra_forbidden": "no such setting",
            "missing": "missing",
        }.get(fault["type"], fault["msg"].removeprefix("Value error, "))
        origin = origins.get(where)
        place = origin or f"{path.name}, line {lines.line(*fault['loc'])}"
        told.append(f"{place}: {where}: {message}" if where else f"{path.name}: {message}")
    return "; ".join(told)


# -- folders that ship with the package ----------------------------------------------------------------------------

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """The folder ``templates`` or ``data`` that ships with notifier: inside the wheel, else beside the package."""
    installed = _PACKAGE / "shipped" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def resource(folder: Path, name: str, relative: str) -> Path:
    """The file ``relative`` of ``templates`` or ``data``: the campaign's own if it has one, else the shipped one."""
    own = folder / name / relative
    return own if own.is_file() else shipped(name) / relative


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_name(host: str) -> bool:
    """Whether it can be asked for: labels of 1 to 63 octets as IDNA writes them (RFC 1035 2.3.4)."""
    try:
        name = host.encode("idna").decode()
    except UnicodeError:
        return False
    return all(label.replace("-", "").replace("_", "").isalnum() for label in name.removesuffix(".").split("."))


def is_loopback(host: str) -> bool:
    """Whether a relay of that name is this very machine."""
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def categories(folder: Path) -> dict[str, DataCategory]:
    """The data categories of data/categories.toml by code."""
    path = resource(folder, "data", "categories.toml")
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        return {
            code: DataCategory(
                code=code,
                label=body["label"],
                severity=body["severity"],
                audiences=frozenset(Audience(audience) for audience in body["audiences"]),
            )
            for code, body in raw.items()
        }
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise SettingsError(f"{path}: {error}") from error


def instant(text: str) -> datetime:
    """An instant from the command line, ISO 8601 with offset."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise SettingsError(f"{text}: say the time zone (for example {text}+01:00)")
    return at
