"""`intake rejections`, `intake reject-dispose`: the rows that left no identity, and how each ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from notifier.cli.terminal import LEFT, Line, Terminal, command
from notifier.errors import OperatorError


@command("rejections", short_help="rejected rows: which are open, and how the others ended")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the list there (CSV, no values).")
@click.option("--all", "every", is_flag=True, help="Also those that have ended.")
def rejections(terminal: Terminal, out: Path | None, every: bool) -> int:
    """The open rejections, counted by file and code; with --out each with its file, line, column and code.

    A rejection ends when a later row says the same person in full (corrected), when it repeats an earlier one
    (duplicate), when it is a line of totals or of the end (not_a_person), or when somebody disposes of it (disposed).
    Exit 1 while one is open.
    """
    from notifier import app

    async def work() -> int:
        command = "intake rejections"
        async with app.open_campaign(terminal.folder, by=terminal.by, command=command, writes=False) as opened:
            standing = await app.rejections_standing(opened)
            listed = await app.write_rejections_list(opened, out, every=every) if out else 0
        body = standing.as_json(every=every)
        lines = standing.lines(every=every)
        if out:
            body |= {"out": str(out), "listed": listed}
            lines.append(f"{listed} listed in {out}.")
        if standing.open:
            lines.append("Next: ask the operator for a corrected file, or `notifier intake reject-dispose SHA:LINE …`.")
        terminal.result(body, *lines)
        return LEFT if standing.open else 0

    return asyncio.run(work())


@command("reject-dispose", short_help="say, by name, that nobody is to be informed from a rejected row")
@click.argument("which", metavar="SHA[:FROM[-TO]]...", nargs=-1)
@click.option("--reason", type=Line(), help="Why nobody is to be informed; for the journal, so name no person.")
@click.option("--code", default="", help="Only rejections with this code.")
@click.option("--all", "every", is_flag=True, help="Of all files.")
@click.option("--reopen", is_flag=True, help="Open again what was disposed of.")
def reject_dispose(
    terminal: Terminal, which: tuple[str, ...], reason: str | None, code: str, every: bool, reopen: bool
) -> int:
    """Dispose of open rejections: whole files, one line, or lines from … to.

    The decision, its reason and its author (--by) go to the journal. A campaign cannot close while a rejection is open.
    """
    from notifier import app
    from notifier.intake.disposals import Which

    if reopen == bool(reason):
        raise OperatorError("say why with --reason TEXT" if not reopen else "--reopen takes no reason")
    if code and not app.is_rejection_code(code):
        raise OperatorError(f"no rejection has the code {code!r}: `notifier intake rejections` lists those there are")

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="intake reject-dispose") as opened:
            chosen = Which(which, every, code)
            found = await app.look_at_rejections(opened, chosen, reopen=reopen)
            codes: dict[str, int] = {}
            for counts in found.values():
                for each, count in counts.items():
                    codes[each] = codes.get(each, 0) + count
            total = sum(codes.values())
            told = ", ".join(f"{each} {count}" for each, count in sorted(codes.items()))
            files = f"{len(found)} file{'s' if len(found) > 1 else ''}"
            asked = "Open again" if reopen else "Dispose of"
            terminal.confirm(f"{asked} {total} rejection{'s' if total > 1 else ''} in {files} ({told})?")
            done = await app.decide_rejections(opened, chosen, reason=reason or "")
            left = (await app.rejections_standing(opened)).open
        body = {
            "count": sum(sum(counts.values()) for counts in done.values()),
            "files": [{"sha256": sha256, "codes": counts} for sha256, counts in done.items()],
            "open": left,
        }
        verb = "opened again" if reopen else "disposed of"
        many = "1 rejection is" if body["count"] == 1 else f"{body['count']} rejections are"
        terminal.result(body, f"{many} {verb} ({told}); still open: {left}.")
        return 0

    return asyncio.run(work())


COMMANDS = [rejections, reject_dispose]
