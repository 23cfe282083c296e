"""`drill`, `demo`: rehearse with invented persons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from notifier.cli.terminal import LEFT, Terminal, command
from notifier.errors import OperatorError


@click.group("drill", short_help="rehearse with invented persons")
def drill() -> None:
    """Synthetic exports with the truth beside them, and whole campaigns as exercises."""


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


@command("run", short_help="a whole campaign as an exercise, with a report")
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--insured", type=click.IntRange(min=20), default=400, show_default=True, help="Invented insured persons."
)
@click.option("--professionals", type=click.IntRange(min=0), default=40, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same persons.")
@click.option(
    "--to",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with own addresses, one a line: every message goes to one of these, to nobody else.",
)
@click.option(
    "--sink", is_flag=True, help="Deliver to a built-in relay on this machine, which is what is done without --to."
)
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Rehearse this campaign's texts, senders, incidents, policies; its persons, key, database are not opened.",
)
@click.option("--sender", default="", help="Which of several senders is rehearsed (default: the first).")
@click.option("--real-size", type=click.IntRange(min=1), help="Persons of the real campaign, for the projected end.")
def run(
    terminal: Terminal,
    directory: Path,
    insured: int,
    professionals: int,
    seed: int,
    to: Path | None,
    sink: bool,
    source: Path | None,
    sender: str,
    real_size: int | None,
) -> int:
    """Rehearse a whole campaign in DIR with invented persons: files, plan, texts, approval, sending, proof.

    Every message is marked EXERCICE; keys and proof are of a kind of their own, which never passes for a campaign's.
    The decisions are asked for on a terminal (--yes takes the defaults). It ends with a report in French, as HTML and
    JSON. Run again, it goes on where it stopped, or says what is there.
    """
    import sys

    from notifier.exercise.course import Order
    from notifier.exercise.drill import REPORT_HTML, REPORT_JSON, read_recipients, run_drill

    if to is not None and sink:
        raise OperatorError("--to or --sink, not both")
    if not terminal.assume_yes and not sys.stdin.isatty():
        raise OperatorError("a drill asks for decisions, and there is nobody to ask: say --yes")

    def ask(question: str, choices: Sequence[str], default: str) -> str:
        answer: str = click.prompt(question, type=click.Choice(list(choices)), default=default, err=True)
        return answer

    done = run_drill(
        Order(
            folder=directory,
            insured=insured,
            professionals=professionals,
            seed=seed,
            recipients=read_recipients(to) if to else (),
            source=source,
            sender=sender,
            real_size=real_size or 0,
            by=terminal.by,
        ),
        ask=None if terminal.assume_yes else ask,
        say=terminal.note,
    )
    report = done.report
    first = report["to_first_notice_seconds"]
    terminal.result(
        {"folder": str(directory), "went_well": done.went_well, "already": done.already, "report": report},
        "The drill in this folder has ended; nothing was done."
        if done.already
        else "The drill has ended."
        if done.went_well
        else "The drill stopped before its end; run it again to go on.",
        f"  files to first notice   {f'{first:.0f} s' if first is not None else 'no message went out'}",
        f"  messages per minute     {report['messages_per_minute']}",
        f"  would have stopped      {len(report['would_have_stopped'])} things",
        f"  errors found            {len(report['errors'])}",
        f"  report                  {directory / REPORT_HTML}, {directory / REPORT_JSON}",
    )
    return 0 if done.went_well else LEFT


drill.add_command(exports)
drill.add_command(run)


@command("demo", short_help="the whole walk on the samples, with a built-in relay")
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(file_okay=False, path_type=Path))
def demo(terminal: Terminal, directory: Path | None) -> int:
    """Exports in, notices out, proof verified: the main job on invented persons, in under a minute, without network."""
    from notifier.demo.story import tell

    return tell(directory, as_json=terminal.as_json)


COMMANDS = [drill, demo]
