"""`init`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from notifier.cli.terminal import Terminal, command


@command("init", short_help="make a campaign folder")
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--sample", is_flag=True, help="An invented mutuelle and both incidents; for a relay on this machine only."
)
def init(terminal: Terminal, directory: Path, sample: bool) -> int:
    """Make DIR and its parents: campaign.toml, the key, the database.

    The key's fingerprint is printed: let somebody outside write it down, it is what a proof is checked against. Run
    again on a campaign, it changes nothing.
    """
    from notifier.foundation import found

    made = found(directory, sample=sample)
    body = {
        "campaign": made.campaign_id,
        "folder": str(directory),
        "key": str(made.key_path),
        "fingerprint": made.fingerprint,
        "already": made.already,
    }
    if made.already:
        terminal.result(body, f"{directory} is a campaign already ({made.campaign_id}): nothing was changed.")
        return 0
    quoted = shlex.quote(str(directory))
    terminal.result(
        body,
        f"Campaign {made.campaign_id} is made in {directory}.",
        f"  settings     {directory / 'campaign.toml'}",
        f"  key          {made.key_path}   (mode 0600; without it nothing can be read: back it up now)",
        f"  fingerprint  {made.fingerprint}",
        "               (give this to your DPO and to a witness outside: a proof is checked against it)",
        f"Next: notifier -C {quoted} intake FILE --profile NAME"
        if sample
        else f"Next: fill in {directory / 'campaign.toml'}; `notifier -C {quoted} check` names what is blank.",
    )
    return 0


COMMANDS = [init]
