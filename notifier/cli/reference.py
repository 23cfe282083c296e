"""`docs/cli.md`, made from the commands' own help: ``python -m notifier.cli.reference > docs/cli.md``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from notifier.cli.main import main

WIDTH = 100


def reference() -> str:
    """The whole file. A test holds the committed one equal to it."""
    parts = [
        "# The command line",
        "",
        "Made from `--help`; do not edit (`python -m notifier.cli.reference > docs/cli.md`).",
        "",
    ]
    parts += [
        "Exit codes: 0 done · 1 done, with rejections, failures or something left to decide · 2 usage or operator "
        "error (one clear line) · 75 try later · 70 a fault of ours · 130 stopped by Ctrl-C (run it again).",
        "",
    ]
    for path, command in _commands(main, "notifier"):
        context = click.Context(
            command,
            info_name=path,
            max_content_width=WIDTH,
            terminal_width=WIDTH,
            help_option_names=["-h", "--help"],  # as `main` has them; a command remembers the first it was asked with
        )
        parts += [f"## {path}", "", "```text", command.get_help(context), "```", ""]
    return "\n".join(parts)


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, child in sorted(command.commands.items()):
            yield from _commands(child, f"{path} {name}")


if __name__ == "__main__":
    click.echo(reference(), nl=False)
