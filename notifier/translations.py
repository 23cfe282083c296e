"""What campaign.toml says once more in another language: ``translations.CODE`` of an incident, a sender or a wave.

A translation counts only when it is whole: whatever the campaign's own language says must be said in it too, or the
notice stays in the campaign's language (notices/tongue.py). Half of a notice in each language helps nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class IncidentTranslation(_Frozen):
    """``[incidents.translations.CODE]``. ``not_exposed``: what each [[incidents.not_exposed]] names, in their order."""

    operator_role: str = ""
    what_happened: str = ""
    measures: tuple[str, ...] = ()
    operator_measures: tuple[str, ...] = ()
    state_of_service: str = ""
    state_of_service_professionals: str = ""
    not_exposed: tuple[str, ...] = ()
    unknown_yet: str = ""
    next_news: str = ""
    complaint: str = ""


class SenderTranslation(_Frozen):
    """``[senders.translations.CODE]``. ``hours``: of each helpline, by the name of the helpline."""

    dpo_name: str = ""
    hours: Mapping[str, str] = {}


class WaveTranslation(_Frozen):
    """``[waves.NAME.translations.CODE]``."""

    wrong: str = ""
    right: str = ""
    news: str = ""
    advice: tuple[str, ...] = ()
