"""A command with commands of its own beside: `intake FILE…` and `intake reject-dispose …`."""

from __future__ import annotations

from typing import Any

import click


class FilesOrCommand(click.Group):
    """Runs as a command on files, unless its first word is the name of one of its commands. A file of that name is
    written with its folder: ``./reject-dispose``."""

    def __init__(self, name: str | None = None, **attributes: Any) -> None:
        super().__init__(name, invoke_without_command=True, no_args_is_help=False, subcommand_metavar="", **attributes)

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(self.commands)

    def get_params(self, context: click.Context) -> list[click.Parameter]:
        """Nothing of the form on files stands in the usage of its commands."""
        return super().get_params(context) if context.command is self else []

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        if arguments and arguments[0] in self.commands:
            context.args = arguments
            return arguments
        context.allow_interspersed_args = True  # files and options in any order, which a group does not allow
        return click.Command.parse_args(self, context, arguments)

    def invoke(self, context: click.Context) -> Any:
        if not context.args:
            return click.Command.invoke(self, context)
        name, *rest = context.args
        command = self.commands[name]
        context.invoked_subcommand = name
        with command.make_context(name, rest, parent=context) as within:
            return command.invoke(within)
