"""Wrong command lines in one line each, with the nearest command or option."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from cloche.errors import ClocheError

_FEW = 8  # commands of a group that are listed where none is similar


class Group(click.Group):
    """A group of commands that suggests one for a misspelt name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click has it. Raises `click.UsageError`."""
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not name.startswith("-"):
            from cloche.config.errors import nearest

            close = nearest(name, known)
            meant = f"did you mean “{close}”?" if close else ""
            if not close and len(known) <= _FEW:
                meant = f"the commands are {', '.join(known)}"
            raise click.UsageError(f"unknown command “{name}”" + (meant and f"; {meant}"), ctx)
        return super().resolve_command(ctx, args)


class Number(click.IntRange):
    """A whole number from ``min``, perhaps up to ``max``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number. Raises `click.BadParameter`."""
        try:
            return int(super().convert(value, param, ctx))
        except click.BadParameter:
            end = "" if self.max is None else f" to {self.max}"
            self.fail(f"“{value}” is not a number from {self.min or 0}{end}", param, ctx)


class NewFile(click.Path):
    """A file that will be written, perhaps after long work: that it can be is checked at once."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path. Raises `click.BadParameter`."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        directory = path.absolute().parent
        if not directory.is_dir():
            self.fail(f"{directory} is not there", param, ctx)
        if not os.access(path if path.exists() else directory, os.W_OK):
            self.fail(f"{path} cannot be written", param, ctx)
        return path


def refuse_unused(context: click.Context, *used: str) -> None:
    """See that no option of a group is before a subcommand that would not use it.

    ``used`` names those that it does use. Raises `click.UsageError`.
    """
    command = context.command_path
    for option in context.command.params:
        name = option.name or ""
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and name not in used:
            what = f"{max(option.opts, key=len)} does not count for a subcommand of `{command}`"
            todo = f"see `{command} {context.invoked_subcommand} --help`"
            raise click.UsageError(f"{what}; {todo}", context)


def as_error(wrong: click.ClickException) -> ClocheError:
    """The error for a command line that click refuses."""
    context = getattr(wrong, "ctx", None)
    command = context.command_path if context is not None else "cloche"
    return ClocheError(_what(wrong), todo=f"see `{command} --help`")


def _what(wrong: click.ClickException) -> str:
    if isinstance(wrong, click.NoSuchOption):
        from cloche.config.errors import nearest

        known = wrong.ctx.command.params if wrong.ctx else []
        options = [name for each in known for name in each.opts if name.startswith("--")]
        close = nearest(wrong.option_name, options)
        meant = f"; did you mean “{close}”?" if close else ""
        return f"unknown option “{wrong.option_name}”{meant}"
    if isinstance(wrong, click.MissingParameter) and wrong.param is not None:
        return f"{_name(wrong.param)} is missing"
    words = wrong.message if isinstance(wrong, click.BadParameter) else wrong.format_message()
    words = re.sub(r"'([^']*)'", r"“\1”", " ".join(words.split())).rstrip(".")
    words = words[:1].lower() + words[1:]
    if isinstance(wrong, click.BadParameter) and wrong.param is not None:
        return f"{_name(wrong.param)}: {words}"
    return words


def _name(param: click.Parameter) -> str:
    """An option by its long name, an argument as the help has it."""
    if isinstance(param, click.Argument):
        name = param.human_readable_name.removesuffix("...")
        return re.sub(r"^\[([^\[\]]*)\]$", r"\1", name)
    return max(param.opts, key=len)
