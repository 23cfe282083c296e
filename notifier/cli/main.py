"""`notifier`: the command tree. Modules import only click here; each command opens `app` when it runs."""

from __future__ import annotations

import getpass
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from notifier.cli import (
    campaign_commands,
    database_commands,
    doubt_commands,
    drill_commands,
    file_commands,
    later_commands,
    lookup_commands,
    notice_commands,
    notices_commands,
    people_commands,
    profile_commands,
    proof_commands,
    recovery_commands,
    requeue_commands,
    send_commands,
    sender_commands,
    status_commands,
)
from notifier.cli.terminal import Line, prepare_streams


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a passwd entry
        return "unknown"


def _version(context: click.Context, _parameter: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        click.echo(f"notifier {metadata.version('notifier')}")
        context.exit()


class InOrderOfWork(click.Group):
    """Lists its commands in the order in which a campaign needs them."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        prepare_streams()
        return super().main(*arguments, **options)

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=InOrderOfWork,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "-C",
    "--campaign",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="NOTIFIER_CAMPAIGN",
    default=Path(),
    help="The campaign's folder (or NOTIFIER_CAMPAIGN).",
)
@click.option("--by", type=Line(), default=_user, help="Who does this, for the journal (default: the system's user).")
@click.option("-v", "--verbose", is_flag=True, help="The debug log on stderr.")
@click.option("--json", "as_json", is_flag=True, help="As after the command: one JSON object on stdout.")
@click.option("--yes", "assume_yes", is_flag=True, help="As after the command: ask no questions.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
@click.pass_context
def main(context: click.Context, /, campaign: Path, verbose: bool, **_of_the_command: Any) -> None:
    """Inform each person affected by a data breach, individually, and prove it (GDPR Art. 34).

    The order of work: init, intake, directory, plan, people review, preview, check, approve, send, status, proof. Every
    command may be run again: running again is resuming. Without a command: where the campaign stands.
    """
    from notifier.logs import configure

    configure(verbose=verbose)
    if context.invoked_subcommand is None:
        named = context.get_parameter_source("campaign") is not ParameterSource.DEFAULT
        if named or context.params["as_json"] or (campaign / "campaign.toml").exists():
            context.invoke(status_commands.status)
        else:
            click.echo(context.get_help())


for module in (
    campaign_commands,
    file_commands,
    profile_commands,
    sender_commands,
    people_commands,
    lookup_commands,
    notice_commands,
    notices_commands,
    send_commands,
    doubt_commands,
    requeue_commands,
    status_commands,
    database_commands,
    recovery_commands,
    proof_commands,
    drill_commands,
    later_commands,
):
    for each in module.COMMANDS:
        main.add_command(each)


if __name__ == "__main__":
    sys.exit(main())
