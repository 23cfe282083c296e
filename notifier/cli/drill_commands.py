"""`drill`, `demo`: rehearse with invented persons."""

from __future__ import annotations

from pathlib import Path

import click

from notifier.cli.later_commands import later
from notifier.cli.terminal import Terminal, command


@click.group("drill", short_help="rehearse with invented persons")
def drill() -> None:
    """Synthetic exports with the truth beside them, and later whole exercises."""


@command("exports", short_help="invented exports, directory and truth")
@click.option("--insured", type=click.IntRange(min=1), default=2000, show_default=True, help="Insured persons.")
@click.option("--professionals", type=click.IntRange(min=0), default=100, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same bytes.")
@click.option(
    "--unusable", type=click.IntRange(min=0), default=0, help="Rows that leave no identity (not in the truth)."
)
@click.option("--noise", type=click.FloatRange(0, 1), default=0.0, help="Share of rows with one typing error.")
@click.option("--all-cases", is_flag=True, help="Also what takes an old directory and a corrected file to take in.")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
def exports(
    terminal: Terminal,
    insured: int,
    professionals: int,
    seed: int,
    unusable: int,
    noise: float,
    all_cases: bool,
    out: Path,
) -> int:
    """Write viamedis-insured.csv, almerys-insured.csv, viamedis-professional.xlsx, almerys-professional.xlsx,
    directory.csv and truth.jsonl (a line per person: audience, exposures, route, email). Everybody is invented.

    With --all-cases also directory-old.csv (take it in with an earlier --as-of, and directory.csv with --replace) and
    viamedis-insured-corrected.csv (intake --replaces); the truth is that after all of them. With either option,
    rows.jsonl says whom each row means, and where a typing error (--noise) is."""
    from notifier.drill.exports import make_exports

    report = make_exports(out, insured=insured, professionals=professionals, seed=seed, unusable_rows=unusable,
                          noise=noise, all_cases=all_cases)  # fmt: skip
    body = report.as_json()
    terminal.result(
        {"out": str(out), **body},
        *(f"{name}: {rows} rows" for name, rows in report.rows.items()),
        f"{report.persons} persons in {out / 'truth.jsonl'}.",
    )
    return 0


drill.add_command(exports)
drill.add_command(later("run", "a whole campaign as an exercise", group="drill"))


@command("demo", short_help="the whole walk on the samples, with a built-in relay")
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(file_okay=False, path_type=Path))
def demo(terminal: Terminal, directory: Path | None) -> int:
    """Exports in, notices out, proof verified: the main job on invented persons, in under a minute, without network."""
    from notifier.demo.story import tell

    return tell(directory, as_json=terminal.as_json)


COMMANDS = [drill, demo]
