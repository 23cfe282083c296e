"""The matrix of texts: audience × form × category, which files tell each cell, and where nothing does. Pure, but for
:func:`own_files`.

A cell is divided only where the catalogue divides it: by sender, incident, profession or language, when these get
other files. A *gap* is a cell that no notice can be made for: no frame, no paragraph, a file or a section that is
missing. Whoever falls into one cannot be told (DOMAIN A2, rule 5), so a gap with notifications must be filled before
`approve`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from notifier.campaign import Settings
from notifier.errors import OperatorError
from notifier.model import Audience, Exposure, Form, SegmentKey, WaveKind
from notifier.notices.catalogue import TEMPLATES, Catalogue
from notifier.notices.choice import Rule, choose
from notifier.notices.compose import compose

# Which forms a plan makes for whom (people/routing.py).
FORMS: dict[Audience, tuple[Form, ...]] = {
    Audience.INSURED: (Form.OWN,),
    Audience.DEPENDANT: (Form.OWN, Form.CHILDREN),
    Audience.PAST_MEMBER: (Form.OWN,),
    Audience.PROFESSIONAL: (Form.OWN, Form.ESTABLISHMENTS),
    Audience.COMPANY: (Form.OWN, Form.ESTABLISHMENTS),
}
OTHERS = "*"  # whatever no rule names


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """One way into a cell. Empty: nothing of that kind is known yet."""

    sender: str
    incident: str
    profession: str
    language: str


@dataclass(frozen=True, slots=True)
class Told:
    """What tells a case: paths of frame and paragraph without their language, or the gap in words."""

    base: str
    paragraph: str
    gap: str


@dataclass(frozen=True, slots=True)
class Cell:
    """Cases of one audience, form and category that get the same files. ``notifications``: planned ones whose person
    has this category (somebody with three categories counts in three cells). ``only``: what sets these cases apart
    from the cell's others, empty = nothing does."""

    audience: Audience
    form: Form
    category: str
    told: Told
    notifications: int
    languages: tuple[str, ...]
    only: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def is_blocking(self) -> bool:
        """Somebody is to be told, and nothing tells it."""
        return bool(self.told.gap and self.notifications)


@dataclass(frozen=True, slots=True)
class Matrix:
    """``own``: paths of texts that the campaign's folder has taken over from those that ship."""

    kind: WaveKind
    cells: tuple[Cell, ...]
    own: frozenset[str]
    planned: int

    @property
    def gaps(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.told.gap]

    @property
    def blocking(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.is_blocking]

    def paths(self, cell: Cell, file: str) -> list[str]:
        """The files that ``file`` means in this cell, one per language."""
        return [f"{TEMPLATES}/{language}/{file}" for language in cell.languages] if file else []

    def is_own(self, cell: Cell, file: str) -> bool:
        """Whether the campaign's folder has a text of its own there."""
        return any(path in self.own for path in self.paths(cell, file))


def own_files(folder: Path) -> frozenset[str]:
    """Paths (``templates/…``) of what the campaign's folder has in place of what ships."""
    root = folder / TEMPLATES
    return frozenset(path.relative_to(folder).as_posix() for path in root.rglob("*") if path.is_file())


def read_matrix(
    own: frozenset[str],
    planned: Sequence[tuple[SegmentKey, int]],
    catalogue: Catalogue,
    settings: Settings,
    kind: WaveKind,
) -> Matrix:
    """The whole matrix for rounds of ``kind``. ``planned``: segments of such rounds with their notifications."""
    reader = _Reader(catalogue, settings, kind)
    met: dict[Spot, dict[Told, _Group]] = {}
    for key, number in planned:
        reader.count(met, key, number)
    cells: list[Cell] = []
    for audience, forms in FORMS.items():
        for form in forms:
            known = [code for code, category in catalogue.categories.items() if audience in category.audiences]
            unforeseen = sorted({spot[2] for spot in met if spot[:2] == (audience, form)} - set(known))
            for category in (*known, *unforeseen):
                groups = met.get((audience, form, category), {})
                reader.foresee(groups, audience, form, category)
                cells += _cells(audience, form, category, groups)
    return Matrix(kind, tuple(cells), own & frozenset(catalogue.files), sum(number for _, number in planned))


Spot = tuple[Audience, Form, str]


@dataclass(slots=True)
class _Group:
    """Cases that get the same files, and how many notifications are planned with one of them."""

    cases: set[Case] = field(default_factory=set)
    notifications: int = 0


class _Reader:
    """What the catalogue says of each case."""

    def __init__(self, catalogue: Catalogue, settings: Settings, kind: WaveKind) -> None:
        self._catalogue = catalogue
        self._settings = settings
        self._kind = kind
        self._faults: dict[tuple[str, ...], str] = {}

    def count(self, met: dict[Spot, dict[Told, _Group]], key: SegmentKey, number: int) -> None:
        """Put a planned segment into its cells. Its person counts once in a cell, though the category may have come
        out in two incidents."""
        language = self._catalogue.language(key.language)
        for category in {exposure.category for exposure in key.exposures}:
            groups = met.setdefault((key.audience, key.form, category), {})
            of_category = sorted(exposure for exposure in key.exposures if exposure.category == category)
            cases: dict[Told, list[Case]] = {}
            for exposure in of_category:
                case = Case(key.sender, exposure.incident, key.profession, language)
                cases.setdefault(self._told(key, exposure), []).append(case)
            for told, found in cases.items():
                group = groups.setdefault(told, _Group())
                group.cases.update(found)
                group.notifications += number

    def foresee(self, groups: dict[Told, _Group], audience: Audience, form: Form, category: str) -> None:
        """Add what could be planned: every sender, incident and language there is, and the professions that a rule
        names."""
        for case in self._possible(audience):
            exposure = Exposure(case.incident, category)
            profession = "" if case.profession == OTHERS else case.profession
            key = SegmentKey(
                self._kind.value, self._kind, case.sender, audience, profession, form, frozenset({exposure}),
                case.language,
            )  # fmt: skip
            groups.setdefault(self._told(key, exposure), _Group()).cases.add(case)

    def _possible(self, audience: Audience) -> Iterator[Case]:
        rules: list[Rule] = [*self._catalogue.bases, *self._catalogue.paragraphs]
        professional = audience in (Audience.PROFESSIONAL, Audience.COMPANY)
        named = sorted({profession for rule in rules for profession in rule.professions}) if professional else []
        for sender in [each.code for each in self._settings.senders] or [""]:
            for incident in [each.code for each in self._settings.incidents] or [""]:
                for profession in [OTHERS, *named]:
                    for language in self._catalogue.languages:
                        yield Case(sender, incident, profession, language)

    def _told(self, key: SegmentKey, exposure: Exposure) -> Told:
        """What tells ``exposure`` in this segment."""
        choice = choose(self._catalogue.bases, self._catalogue.paragraphs, key)
        base = choice.base or ""
        paragraph = next((each.file for each in choice.paragraphs if exposure in each.exposures), "")
        language = self._catalogue.language(key.language)
        gaps = []
        if not base:
            gaps.append("no frame ([[bases]])")
        if not paragraph:
            gaps.append("no paragraph ([[paragraphs]])")
        paths = [self._catalogue.path(language, file) for file in (base, paragraph) if file]
        gaps += [f"no file {path}" for path in paths if path not in self._catalogue.files]
        if not gaps and key.sender and exposure.incident:
            gaps += filter(
                None, [self._fault(replace(key, exposures=frozenset({exposure})), (language, base, paragraph))]
            )
        return Told(base, paragraph, "; ".join(gaps))

    def _fault(self, key: SegmentKey, files: tuple[str, ...]) -> str:
        """Why these files make no notice: a category without its line, a section that is missing, a mistake in Jinja.
        Tried with the first sender and incident that get them; `check` tries every segment."""
        (exposure,) = key.exposures
        tried = (key.audience, key.form, exposure.category, *files)
        if tried not in self._faults:
            try:
                compose(key, self._catalogue, self._settings)
                self._faults[tried] = ""
            except OperatorError as error:
                self._faults[tried] = str(error)
        return self._faults[tried]


def _cells(audience: Audience, form: Form, category: str, groups: dict[Told, _Group]) -> Iterator[Cell]:
    every = _traits(case for group in groups.values() for case in group.cases)
    for told, group in sorted(groups.items(), key=lambda pair: sorted(pair[1].cases)):
        own = _traits(group.cases)
        only = {trait: values for trait, values in own.items() if values != every[trait]}
        yield Cell(audience, form, category, told, group.notifications, own["language"], only)


def _traits(cases: Iterable[Case]) -> dict[str, tuple[str, ...]]:
    listed = list(cases)
    return {
        trait: tuple(sorted({getattr(case, trait) for case in listed}))
        for trait in ("sender", "incident", "profession", "language")
    }
