"""Public services that notices name (data/public-services.toml): telephone numbers and sites change, texts stay. Pure.

In templates: ``public.CODE.phone``, ``public.CODE.site``. Whoever runs a campaign checks each number before it is
printed a million times, and writes the day (``checked``); a service that has ended (``valid_until``) blocks `approve`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta

from pydantic import BaseModel, ConfigDict, ValidationError

from notifier.errors import SettingsError
from notifier.notices.findings import Finding

SERVICES = "data/public-services.toml"
CHECKED_DAYS = 365  # days after which somebody should dial the number again


class PublicService(BaseModel):
    """One service. ``phone``, ``site``: "" = has none. ``source``: where they were read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phone: str = ""
    site: str = ""
    source: str
    checked: date
    valid_from: date | None = None
    valid_until: date | None = None


def read_services(content: bytes) -> dict[str, PublicService]:
    """The services by code. Raises SettingsError."""
    try:
        raw = tomllib.loads(content.decode())
        return {code: PublicService.model_validate(body) for code, body in raw.items()}
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        raise SettingsError(f"{SERVICES}: {error.title}: {fault['loc'][0]}: {fault['msg']}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{SERVICES}: {error}") from error


def check_services(services: Mapping[str, PublicService], texts: Iterable[str], today: date) -> Iterator[Finding]:
    """Findings on the services that a text names (``public.CODE``): an outdated one blocks, an old check warns."""
    named = "\n".join(texts)
    for code, service in services.items():
        if f"public.{code}." not in named:
            continue
        where = f"{SERVICES}: {code}"
        if service.valid_until and service.valid_until < today:
            yield Finding("service", where, f"ended on {service.valid_until}: give its successor, or take it out")
        elif service.valid_from and service.valid_from > today:
            yield Finding("service", where, f"begins on {service.valid_from} only: take it out until then")
        elif service.checked + timedelta(days=CHECKED_DAYS) < today:
            yield Finding(
                "service",
                where,
                f"was last checked on {service.checked}: dial the number, open the site, then write the day",
                "warning",
            )
