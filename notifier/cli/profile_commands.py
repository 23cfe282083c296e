"""`profile`: what a layout is, tried on a file before anything is stored, or proposed from it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from notifier.cli.terminal import LEFT, Terminal, command
from notifier.errors import OperatorError

if TYPE_CHECKING:
    from notifier.intake.drafts import Draft
    from notifier.intake.trials import Trial, TrialRow

_FILE = click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
FAMILIES = ("insured", "professional", "directory")


@click.group("profile", short_help="check or draft a profile")
def profile() -> None:
    """Profiles say which column of a file means what (docs/profiles.md)."""


@command("check", short_help="the first rows as they would be understood")
@_FILE
@click.option("--profile", "name", required=True, help="Which layout to try (data/profiles/NAME.toml).")
@click.option("--incident", help="Which incident the file belongs to, when the profile does not say.")
@click.option(
    "--rows", type=click.IntRange(min=0), default=1000, show_default=True, help="How many rows to count; 0 = all."
)
@click.option("--show", type=click.IntRange(min=0), default=10, show_default=True, help="How many rows to show.")
def check(terminal: Terminal, file: Path, name: str, incident: str | None, rows: int, show: int) -> int:
    """Read a file through a profile and show what would become of it. Nothing is stored.

    Values are shown at this terminal only (with --json: codes and counts); a NIR or a RIB never. Exit code 1: rows
    would be rejected, or nobody has a sender's name.
    """
    from notifier import app

    _require(file)

    async def work() -> Trial:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="profile check", writes=False) as opened:
            return await app.try_profile(opened, file, profile=name, incident=incident, rows=rows or None, shown=show)

    trial = asyncio.run(work())
    terminal.result(trial.as_json(), *_lines(file, trial))
    return LEFT if trial.rejections or trial.unknown_names else 0


@command("draft", short_help="a proposal for an unknown layout")
@_FILE
@click.option("--as", "family", type=click.Choice(FAMILIES), help="What the file holds, when you know it.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where to write it (default: stdout).")
@click.option("--encoding", default="", help="The file's, when it cannot be told from its bytes.")
def draft(terminal: Terminal, file: Path, family: str | None, out: Path | None, encoding: str) -> int:
    """Propose a profile, from the headings and from the look of the columns; each guess says why and how sure it is.

    No value of the file is in it. Exit code 1: some columns were not recognised and are yours to decide.
    """
    from notifier import app

    _require(file)
    made = app.draft_profile(terminal.folder, file, family=family, encoding=encoding)
    body = made.as_json()
    if out:
        if out.exists():
            terminal.confirm(f"{out} is there already. Write over it?")
        _write(out, made.text)
        terminal.result({**body, "out": str(out)}, *_told(made), f"Written to {out}.")
    else:
        terminal.result({**body, "draft": made.text}, made.text.rstrip("\n"))
        for line in _told(made):
            terminal.note(line)
    profiles = terminal.folder / "data" / "profiles"
    if out and out.suffix == ".toml" and out.parent.resolve() == profiles.resolve():
        terminal.note(
            f"Next: read every line of it, finish it, then `notifier profile check FILE --profile {out.stem}`."
        )
    else:
        terminal.note(
            "Next: finish it, save it as data/profiles/NAME.toml in the campaign's folder, `notifier profile check`."
        )
    return LEFT if made.left else 0


def _require(path: Path) -> None:
    if not path.is_file():
        raise OperatorError(f"{path} is not a regular file" if path.exists() else f"there is no file {path}")


def _write(out: Path, text: str) -> None:
    """Whole or not at all."""
    part = out.with_name(f".{out.name}.part")
    try:
        # A new campaign has no data/profiles yet.
        out.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(out)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _told(made: Draft) -> Iterator[str]:
    recognised = sum(bool(each.role) for each in made.guesses)
    what = {"insured": "an export of insured persons", "professional": "an export of professionals"}
    yield f"{what.get(made.family, 'a directory')}: {recognised} of {len(made.guesses)} columns recognised."
    if made.member:
        yield f"Of the archive, {made.member} alone was looked at."
    if made.left:
        yield f"{len(made.left)} to decide: they are commented in the draft."


def _lines(file: Path, trial: Trial) -> Iterator[str]:
    """The trial for a terminal."""
    from notifier.intake.verdicts import Verdict

    separator = f", separator {'tab' if trial.separator == chr(9) else trial.separator}" if trial.separator else ""
    encoding = f" {trial.encoding}" if trial.encoding else ""
    of = f", incident {trial.incident}" if trial.incident else ""
    if trial.member:
        yield f"Of the archive, {trial.member} alone was looked at: `intake` reads all with these headings."
    yield f"{file.name}: {trial.form.upper()}{encoding}{separator}, headings in line {trial.headings_line}"
    yield f"Read with the profile {trial.profile} ({trial.kind}, {trial.person}{of})"
    yield "Columns"
    width = max((len(heading) for heading, _ in trial.columns), default=0)
    for heading, role in trial.columns:
        yield f"  {heading:<{width}}  → {role or '(not read)'}"
    if trial.absent:
        yield f"  without a column: {', '.join(trial.absent)}"
    if trial.first:
        yield "First rows"
        for row in trial.first:
            yield from _row(trial, row)
    yield "The whole file" if trial.whole else f"The first {trial.rows} rows (--rows 0: the whole file)"
    yield f"  {trial.rows} rows = " + " + ".join(f"{trial.verdicts.rows.get(v, 0)} {v}" for v in Verdict)
    yield from _counts("repairs", trial.repairs)
    yield from _counts("warnings", trial.warnings)
    yield from _counts(
        "rejected", {f"{code}{f' ({column})' if column else ''}": n for (column, code), n in trial.rejections.items()}
    )
    yield from _counts("senders", trial.senders)
    yield from _unknown(trial)
    yield from _counts("professions", trial.professions)
    yield from (f"  ALARM: {file.name} {alarm}" for alarm in trial.verdicts.told())
    for exposures, count in trial.exposures.items():
        yield f"  exposes, in {count} rows: {exposures.replace(',', ', ')}"


def _counts(what: str, counts: object) -> Iterator[str]:
    if isinstance(counts, dict) and counts:
        yield f"  {what}: " + ", ".join(f"{name} {count}" for name, count in counts.items())


def _unknown(trial: Trial) -> Iterator[str]:
    from notifier.intake.trials import shown_name

    if trial.unknown_names:
        some = ", ".join(f'"{shown_name(name)}"' for name in list(trial.unknown_names)[:10])
        more = ", …" if len(trial.unknown_names) > 10 else ""
        rows = sum(trial.unknown_names.values())
        yield f"  no sender has the name in {rows} rows ({len(trial.unknown_names)} different: {some}{more})"


_NAMED = {"nir": "NIR", "siret": "SIRET", "finess": "FINESS", "rpps": "RPPS", "rib": "RIB"}


def _row(trial: Trial, row: TrialRow) -> Iterator[str]:
    from notifier.intake.rejections import EXPLANATIONS

    codes = f": {', '.join(row.codes)}" if row.codes else ""
    yield f"  line {row.line}: {row.verdict}{codes}{f' ({row.column})' if row.column else ''}"
    if row.verdict == "rejected":
        yield f"      {EXPLANATIONS[row.codes[0]]}"
    parts = [f"{role} {value}" for role, value in row.values.items()]
    parts += [f"{_NAMED[role]} {state}" for role, state in row.numbers.items()]
    if row.profession:
        parts.append(f"read as {row.profession}")
    if row.numbers or row.values:
        parts.append(f"sender {row.sender}" if row.sender else "sender NOT FOUND")
    if parts:
        yield f"      {' · '.join(parts)}"
    if row.exposures:
        yield f"      exposes {', '.join(each.partition(':')[2] or each for each in row.exposures.split(','))}"


profile.add_command(check)
profile.add_command(draft)

COMMANDS = [profile]
