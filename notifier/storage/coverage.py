"""The account of I1 by group, the bridge from rows to persons, and the directory seen from the other side.

Everything is counted from rows, in one pass each; the proof pack and `status` ask the same queries.
"""

# ruff: noqa: S608  (the SQL is put together from this module's own words)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.model import Term, WaveKind, parse_exposures
from notifier.storage.accounting import NOTIFICATIONS, TERM

# -- the I1 table by group -------------------------------------------------------------------------------------------

# Every person falls into exactly one group, so that the groups add up to the wave: who stands in two files, or in the
# files of two incidents, is in the group of both. {0} and {1}: notifications and segments.
_FILES = (
    "(SELECT GROUP_CONCAT(import_id) FROM (SELECT DISTINCT r.import_id FROM records r WHERE r.person_id = p.id) AS f)"
)
_GROUPS = {
    "file": f"COALESCE({_FILES}, '')",
    "incident": "p.exposure_set_id",
    "sender": "p.sender",
    "audience": "COALESCE(s.audience, '')",
    "wave": "''",
}
BY = tuple(_GROUPS)
_TERMS = frozenset(term.value for term in Term)
NOBODYS = "(none)"  # no file speaks of the person any more; no notification gives it an audience


@dataclass
class Group:
    """One group of one wave. ``unknown``: notifications whose state fits no term."""

    owed: int = 0
    terms: dict[Term, int] = field(default_factory=lambda: dict.fromkeys(Term, 0))
    unknown: int = 0

    @property
    def balances(self) -> bool:
        """Whether what is owed is the sum of the terms."""
        return self.owed == sum(self.terms.values()) and not self.unknown


async def by_group(connection: AsyncConnection, by: str, now_ms: int) -> dict[str, dict[str, Group]]:
    """Wave → group → its account. ``by``: one of BY."""
    column = _GROUPS[by]
    waves = (await connection.execute(text("SELECT id, name, kind FROM waves ORDER BY id"))).all()
    names = await _names(connection, by)
    table: dict[int, dict[str, Group]] = {row.id: {} for row in waves}
    counted = await connection.execute(
        text(
            f"SELECT n.wave_id, {column} AS grouped, {TERM} AS term, COUNT(*) "
            f"{NOTIFICATIONS} JOIN segments s ON s.id = n.segment_id GROUP BY 1, 2, 3"
        ),
        {"now_ms": now_ms},
    )
    for wave, grouped, term, count in counted:
        group = table[wave].setdefault(_named(by, grouped, names), Group())
        if term in _TERMS:
            group.terms[Term(term)] += count
        else:
            group.unknown += count
    for row in waves:
        for grouped, count in await _owed(connection, column, row.id, is_first=row.kind == WaveKind.INITIAL):
            table[row.id].setdefault(_named(by, grouped, names), Group()).owed += count
    return {row.name: dict(sorted(table[row.id].items())) for row in waves}


async def _owed(connection: AsyncConnection, column: str, wave: int, *, is_first: bool) -> list[tuple[object, int]]:
    """Of the first round all persons; of a later one those for whom it was planned."""
    join = "LEFT JOIN" if is_first else "JOIN"
    rows = await connection.execute(
        text(
            f"SELECT {column} AS grouped, COUNT(*) FROM persons p "
            f"{join} notifications n ON n.person_id = p.id AND n.wave_id = :wave "
            "LEFT JOIN segments s ON s.id = n.segment_id GROUP BY 1"
        ),
        {"wave": wave},
    )
    return [(grouped, int(count)) for grouped, count in rows]


async def _names(connection: AsyncConnection, by: str) -> dict[int, str]:
    if by == "file":
        rows = await connection.execute(text("SELECT id, sha256 FROM imports"))
        return {number: sha256[:12] for number, sha256 in rows}
    if by == "incident":
        rows = await connection.execute(text("SELECT id, canonical FROM exposure_sets"))
        return {
            number: " + ".join(sorted({each.incident for each in parse_exposures(canonical)}))
            for number, canonical in rows
        }
    return {}


def _named(by: str, grouped: object, names: Mapping[int, str]) -> str:
    if by == "file":
        numbers = sorted(int(number) for number in str(grouped).split(",") if number)
        return " + ".join(names[number] for number in numbers) or NOBODYS
    if by == "incident":
        return names[int(str(grouped))] or NOBODYS
    return str(grouped) or (NOBODYS if by != "wave" else "all")


# -- the bridge from rows to persons ---------------------------------------------------------------------------------

# What a record is to its person, the first that fits: what an earlier row of the same file said word for word, in all
# that we keep of it; another row of that file; an earlier file of the same incident; one of another incident.
_EARLIER = "SELECT 1 FROM records e {join}WHERE e.person_id = r.person_id AND e.id < r.id"
_SAME_WORDS = " AND ".join(
    f"e.{column} IS r.{column}"
    for column in (
        "group_key", "forename_key", "birth_rank", "key_member", "key_nir_rank", "key_nir_forename", "key_contract",
        "exposure_set_id", "profession",
    )
)  # fmt: skip
_STEP = (
    f"CASE WHEN NOT EXISTS ({_EARLIER.format(join='')}) THEN 'person' "
    f"WHEN EXISTS ({_EARLIER.format(join='')} AND e.import_id = r.import_id AND {_SAME_WORDS}) THEN 'same_row' "
    f"WHEN EXISTS ({_EARLIER.format(join='')} AND e.import_id = r.import_id) THEN 'same_person' "
    f"WHEN EXISTS ({_EARLIER.format(join='JOIN imports j ON j.id = e.import_id ')} AND j.incident = i.incident) "
    "THEN 'another_file' ELSE 'other_incident' END"
)


class Step(NamedTuple):
    """One cell of the bridge, of one incident's files and one sender. ``persons``: first named by these rows."""

    incident: str
    sender: str
    records: int
    same_row: int
    same_person: int
    another_file: int
    other_incident: int
    persons: int

    @property
    def adds_up(self) -> bool:
        """Whether each record is exactly one of these."""
        return self.records == self.again + self.persons

    @property
    def again(self) -> int:
        """Records that are not the first of their person."""
        return self.same_row + self.same_person + self.another_file + self.other_incident


class Files(NamedTuple):
    """What one incident's files held. A row that left no identity has no sender."""

    incident: str
    rows: int
    rejections: int


@dataclass(frozen=True, slots=True)
class Bridge:
    """From rows to persons. ``gone``: persons whose last record a later file gave to somebody else after an approval
    had named them; ``lost``: records without person (0, or nothing balances). ``persons``: counted by themselves."""

    files: Sequence[Files]
    steps: Sequence[Step]
    persons: int
    gone: int
    lost: int

    @property
    def rows(self) -> int:
        return sum(each.rows for each in self.files)

    @property
    def rejections(self) -> int:
        return sum(each.rejections for each in self.files)

    @property
    def records(self) -> int:
        return sum(each.records for each in self.steps) + self.lost

    @property
    def again(self) -> int:
        """Records that are not the first of their person."""
        return sum(each.again for each in self.steps)

    def total(self, term: str) -> int:
        """A term over all incidents and senders."""
        return sum(int(getattr(each, term)) for each in self.steps)

    @property
    def adds_up(self) -> bool:
        """rows − unreadable − same row twice − same person in a file − in another file − in both operators = persons,
        each of them counted."""
        return (
            self.rows == self.rejections + self.records
            and all(each.adds_up for each in self.steps)
            and self.records - self.again + self.gone == self.persons
            and not self.lost
        )


async def bridge(connection: AsyncConnection) -> Bridge:
    """Count it. One pass over the records, with one index search for most of them."""
    files = await connection.execute(
        text(
            "SELECT i.incident, SUM(i.rows_read), SUM((SELECT COUNT(*) FROM rejections x WHERE x.import_id = i.id)) "
            "FROM imports i WHERE i.kind = 'export' AND i.state = 'complete' GROUP BY i.incident ORDER BY i.incident"
        )
    )
    cells: dict[tuple[str, str], dict[str, int]] = {}
    counted = await connection.execute(
        text(
            f"SELECT i.incident, p.sender, {_STEP} AS step, COUNT(*) FROM records r "
            "CROSS JOIN persons p CROSS JOIN imports i WHERE p.id = r.person_id AND i.id = r.import_id GROUP BY 1, 2, 3"
        )
    )
    for incident, sender, step, count in counted:
        cells.setdefault((incident, sender), {})[step] = count
    return Bridge(
        [Files(*row) for row in files],
        [_step(incident, sender, cell) for (incident, sender), cell in sorted(cells.items())],
        await _one(connection, "SELECT COUNT(*) FROM persons"),
        await _one(
            connection,
            "SELECT COUNT(*) FROM persons p WHERE NOT EXISTS (SELECT 1 FROM records r WHERE r.person_id = p.id)",
        ),
        await _one(
            connection,
            "SELECT COUNT(*) FROM records r WHERE NOT EXISTS (SELECT 1 FROM persons p WHERE p.id = r.person_id)",
        ),
    )


def _step(incident: str, sender: str, cell: Mapping[str, int]) -> Step:
    names = ("same_row", "same_person", "another_file", "other_incident", "person")
    return Step(incident, sender, sum(cell.values()), *(cell.get(name, 0) for name in names))


async def _one(connection: AsyncConnection, sql: str) -> int:
    return int((await connection.execute(text(sql))).scalar_one())


# -- from the other side ---------------------------------------------------------------------------------------------


class Unnamed(NamedTuple):
    """Members of a directory whom no export names, counted."""

    sender: str
    status: str
    as_of: str
    contract_year: str
    members: int


async def other_side(connection: AsyncConnection) -> list[Unnamed]:
    """The members to whom nobody affected was matched, by sender, status, the directory's day, and the year in
    which they joined (``unknown`` where the directory does not say it)."""
    rows = await connection.execute(
        text(
            "SELECT c.sender, c.status, c.as_of, COALESCE(CAST(c.contract_year AS TEXT), 'unknown'), COUNT(*) "
            "FROM contacts c WHERE c.kind = 'member' AND c.current "
            "AND NOT EXISTS (SELECT 1 FROM contacts x CROSS JOIN persons p WHERE x.sender = c.sender "
            "AND x.identity = c.identity AND p.contact_id = x.id) GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
        )
    )
    return [Unnamed(*row) for row in rows]


# -- senders kept apart ----------------------------------------------------------------------------------------------


async def of_another_sender(connection: AsyncConnection) -> int:
    """Persons who are matched to, or informed through, a contact of another sender, or with another sender's text: 0,
    or what makes it is a bug (I2)."""
    return await _one(
        connection,
        "SELECT COUNT(*) FROM (SELECT p.id FROM persons p CROSS JOIN contacts c WHERE c.id = p.contact_id "
        "AND c.sender <> p.sender UNION SELECT p.id FROM notifications n CROSS JOIN persons p "
        "CROSS JOIN segments s LEFT JOIN deliveries d ON d.id = n.delivery_id LEFT JOIN contacts c "
        "ON c.id = d.contact_id LEFT JOIN segments t ON t.id = d.segment_id "
        "WHERE p.id = n.person_id AND s.id = n.segment_id "
        "AND (s.sender <> p.sender OR c.sender <> p.sender OR t.sender <> p.sender)) AS crossing",
    )
