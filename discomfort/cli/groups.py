"""The class of the program and of its groups of commands."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class CommandGroup(TyperGroup):
    """A group whose `--help` starts quickly.

    typer imports pydantic to convert what an option has as its value. The group's own `--help` is not used when a
    command's help is printed, and has None then; False needs no conversion.
    """

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option `--help`."""
        option = super().get_help_option(ctx)
        if option is not None and option.default is None:
            option.default = False
        return option
