"""Commands that are decided but not built: each says so and exits 2, so that no script mistakes silence for success."""

from __future__ import annotations

import click

from notifier.cli.terminal import OPERATOR

LATER = {
    "bounces": "read what came back",
    "letters": "export letters, take note of posted and returned ones",
    "public-notice": "the public communication of Art. 34(3)(c)",
    "close": "close the campaign",
    "purge": "destroy contacts or identities",
    "worker": "one sender among several",
    "workers": "list the senders",
    "console": "the window",
}


def later(name: str, what: str, *, group: str = "") -> click.Command:
    """A command that answers "not there yet"."""
    full = f"{group} {name}".strip()

    @click.command(
        name,
        help=f"Not there yet: {what}.",
        short_help=f"(not there yet) {what}",
        context_settings={"ignore_unknown_options": True},
        add_help_option=True,
    )
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    @click.pass_context
    def command(context: click.Context, arguments: tuple[str, ...]) -> None:
        click.echo(f"notifier: {full}: not there yet ({what})", err=True)
        context.exit(OPERATOR)

    return command


COMMANDS = [later(name, what) for name, what in LATER.items()]
