"""`status --by | --bridge | --other-side`: who is covered, told by group. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from notifier.model import Term, to_ms
from notifier.storage import coverage
from notifier.storage.accounting import account
from notifier.storage.coverage import Bridge, Group, Unnamed
from notifier.storage.database import Database


@dataclass(frozen=True, slots=True)
class Coverage:
    """The account of each wave by group, and of the waves themselves."""

    by: str
    waves: Mapping[str, Mapping[str, Group]]
    totals: Mapping[str, Mapping[str, int]]  # wave → owed and terms, as `status` says

    @property
    def balances(self) -> bool:
        """Whether each group adds up, and all groups together are the wave."""
        return all(group.balances for groups in self.waves.values() for group in groups.values()) and all(
            _summed(groups) == self.totals[wave] for wave, groups in self.waves.items()
        )

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "by": self.by,
            "waves": {
                wave: {name: _counts(group) for name, group in groups.items()} for wave, groups in self.waves.items()
            },
            "totals": {wave: dict(counts) for wave, counts in self.totals.items()},
            "balances": self.balances,
        }

    def lines(self) -> list[str]:
        """For the terminal: a column per term that is not 0 everywhere."""
        lines = []
        for wave, groups in self.waves.items():
            shown = ["owed", *(term.value for term in Term if any(group.terms[term] for group in groups.values()))]
            wide = max([len(name) for name in groups] + [len("together")])
            lines.append(f"Wave {wave}, by {self.by}")
            lines.append(f"  {'':{wide}}" + "".join(f"  {name:>11}" for name in shown))
            for name, group in [*groups.items(), ("together", None)]:
                counts = _counts(group) if group else self.totals[wave]
                lines.append(f"  {name:{wide}}" + "".join(f"  {counts[each]:>11}" for each in shown))
        lines.append("It balances." if self.balances else "IT DOES NOT BALANCE.")
        return lines


def _counts(group: Group) -> dict[str, int]:
    return {"owed": group.owed, **{term.value: group.terms[term] for term in Term}}


def _summed(groups: Mapping[str, Group]) -> dict[str, int]:
    every = [_counts(group) for group in groups.values()]
    return {name: sum(counts[name] for counts in every) for name in ("owed", *Term)}


async def by_group(database: Database, by: str, *, now: datetime) -> Coverage:
    """The I1 table by file, incident, sender, audience or wave, in one snapshot."""
    async with database.read() as connection:
        waves = await coverage.by_group(connection, by, to_ms(now))
        counted = await account(connection, now_ms=to_ms(now))
    if by == "wave":
        waves = {wave: dict(zip([wave], groups.values(), strict=False)) for wave, groups in waves.items()}
    totals = {
        wave.name: {"owed": wave.owed, **{term.value: wave.terms[term] for term in Term}} for wave in counted.waves
    }
    return Coverage(by, waves, totals)


# -- the bridge ------------------------------------------------------------------------------------------------------

_TERMS = {
    "same_row": "same row twice in a file",
    "same_person": "same person again in a file",
    "another_file": "in an earlier file of the incident",
    "other_incident": "in the files of another incident",
}


async def bridge(database: Database) -> Bridge:
    """The bridge from rows to persons, in one snapshot."""
    async with database.read() as connection:
        return await coverage.bridge(connection)


def bridge_json(made: Bridge) -> dict[str, Any]:
    """For `--json`."""
    return {
        "rows": made.rows,
        "unreadable": made.rejections,
        "records": made.records,
        **{term: made.total(term) for term in _TERMS},
        "persons": made.persons,
        "persons_without_record": made.gone,
        "records_without_person": made.lost,
        "adds_up": made.adds_up,
        "by_incident": [each._asdict() for each in made.files],
        "by_incident_and_sender": [each._asdict() for each in made.steps],
    }


def bridge_lines(made: Bridge) -> list[str]:
    """For the terminal."""
    lines = [
        "From rows to persons",
        f"  {made.rows:>12}  rows read",
        f"- {made.rejections:>12}  unreadable: they left no identity",
        f"= {made.records:>12}  records",
        *(f"- {made.total(term):>12}  {meaning}" for term, meaning in _TERMS.items()),
    ]
    if made.gone:
        lines.append(f"+ {made.gone:>12}  whose last record went to somebody else after an approval")
    lines.append(f"= {made.persons:>12}  persons, in the eyes of one sender each")
    lines += [
        f"  {each.incident or '(no incident)'}, {each.sender}: {each.records} records, {each.persons} persons first "
        f"named there, {each.again} known already"
        for each in made.steps
    ]
    lines.append("It adds up." if made.adds_up else "IT DOES NOT ADD UP.")
    return lines


# -- from the other side ---------------------------------------------------------------------------------------------


async def other_side(database: Database) -> list[Unnamed]:
    """Members whom no export names, by sender, status, day of the directory and year of joining."""
    async with database.read() as connection:
        return await coverage.other_side(connection)


def other_side_json(found: Sequence[Unnamed]) -> dict[str, Any]:
    """For `--json`."""
    return {"members": sum(each.members for each in found), "groups": [each._asdict() for each in found]}


def other_side_lines(found: Sequence[Unnamed]) -> list[str]:
    """For the terminal."""
    lines = [
        f"{sum(each.members for each in found)} members are in a directory and, since the last plan, in no export."
    ]
    lines += [
        f"  {each.sender}  {each.status:9} as of {each.as_of or '(no date)':10}  joined {each.contract_year:7}"
        f"  {each.members:>9}"
        for each in found
    ]
    return lines
