"""The sample's catalogue, and the cells of the matrix that the two incidents need."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from notifier.campaign import Settings
from notifier.model import Audience, Contact, Exposure, Form, PersonalFields, SegmentKey, WaveKind
from notifier.notices.catalogue import Catalogue

INSURED = ("civil_status", "birth_date", "birth_rank", "nir", "member_number", "insurer", "contract", "guarantees")
PROFESSIONAL = (
    "company_name",
    "name",
    "email",
    "phone",
    "postal_address",
    "portal_login",
    "rib",
    "siret",
    "finess",
    "care_network",
)

MakeKey = Callable[..., SegmentKey]


@pytest.fixture
def catalogue(folder: Path, settings: Settings) -> Catalogue:
    return Catalogue.load(folder, settings)


@pytest.fixture
def make_key() -> MakeKey:
    def make(
        audience: str = "insured",
        form: str = "own",
        categories: Iterable[str] | None = None,
        incidents: Iterable[str] = ("viamedis",),
        language: str = "fr",
        profession: str = "",
    ) -> SegmentKey:
        kinds = categories or (PROFESSIONAL if audience == "professional" else INSURED)
        return SegmentKey(
            wave="initial",
            wave_kind=WaveKind.INITIAL,
            sender="clairval",
            audience=Audience(audience),
            profession=profession,
            form=Form(form),
            exposures=frozenset(Exposure(incident, kind) for incident in incidents for kind in kinds),
            language=language,
        )

    return make


@pytest.fixture
def cells(make_key: MakeKey) -> list[SegmentKey]:
    """Every audience and form, every category alone and all together, one incident and two."""
    found = []
    for audience, form, kinds in (
        ("insured", "own", INSURED),
        ("dependant", "own", INSURED),
        ("past_member", "own", INSURED),
        ("dependant", "children", INSURED),
        ("professional", "own", PROFESSIONAL),
        ("professional", "establishments", PROFESSIONAL),
    ):
        found += [make_key(audience, form, [kind]) for kind in kinds]
        found += [make_key(audience, form, kinds), make_key(audience, form, kinds, ("viamedis", "almerys"))]
    return found


@pytest.fixture
def somebody() -> PersonalFields:
    return PersonalFields(Contact(name="Martin", forename="Élodie"), "7K3D-99XA-B2QM", ("Léa Martin", "Tom Martin-Süß"))


@pytest.fixture
def edited(catalogue: Catalogue, settings: Settings) -> Callable[[str, str, str], Catalogue]:
    """The shipped catalogue with one text changed: ``edited(path, old, new)``."""

    def edit(path: str, old: str, new: str) -> Catalogue:
        source = catalogue.files[path].decode()
        assert old in source
        return Catalogue.of({**catalogue.files, path: source.replace(old, new).encode()}, settings)

    return edit
