"""catalyst's own options that `cloche catalyst` accepts."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

_LEVELS = ("critical", "error", "warning", "notice", "info", "debug")

#: Options that have no effect in cloche, each with its help text.
_IDLE = (
    (("-a", "--clear-autoresume"), "No effect: finished work is found by its key."),
    (("--enter-chroot",), "No effect: `cloche -C PROJECT shell MACHINE` opens a root."),
    (("--versioned-cachedir",), "No effect: packages are found by their keys."),
    (("--unversioned-cachedir",), "No effect: packages are found by their keys."),
    (("--trace",), "No effect."),
    (("--profile",), "No effect: `cloche report` shows how long each step took."),
)


def _coloured(_: click.Context, __: click.Parameter, color: bool | None) -> None:
    """Switch the colours of displays on or off (no-color.org)."""
    if color is False:
        os.environ["NO_COLOR"] = "1"
    elif color:
        os.environ.pop("NO_COLOR", None)


def catalyst_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add catalyst's options; those with an effect become arguments of the function."""
    for option in reversed(
        (
            click.option("-F", "--fetchonly", is_flag=True, help="Fetch the sources and exit."),
            click.option(
                "-p", "--purge", is_flag=True, help="As -T, then build. Packages are not a cache."
            ),
            click.option("-P", "--purgeonly", is_flag=True, help="As -T."),
            click.option(
                "-T",
                "--purgetmponly",
                is_flag=True,
                help="Remove the project of the spec below STOREDIR/cloche and exit. Packages stay "
                "in the store; `cloche store gc` removes unused ones.",
            ),
            click.option("-d", "--debug", is_flag=True, help="As -v."),
            click.option(
                "--log-level", type=click.Choice(_LEVELS), help="info and debug are as -v."
            ),
            click.option(
                "--log-file",
                type=click.Path(dir_okay=False, writable=True),
                help="Write all output to this file, except for the line of an error.",
            ),
            click.option(
                "--color/--nocolor",
                default=None,
                expose_value=False,
                callback=_coloured,
                help="Whether to use colours [on a terminal].",
            ),
            *(
                click.option(*names, is_flag=True, expose_value=False, help=text)
                for names, text in _IDLE
            ),
        )
    ):
        function = option(function)
    return function
