"""The options of `cloche build` for a machine that is reached by ssh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from cloche.cli.cluster_options import ClusterChoice
from cloche.session.choices import Choices
from cloche.targets.connection import Address, parse_address

Function = Callable[..., Any]
_OWN = ("target", "mount", "leave_out")
#: Choices that are about machines of the project.
_OF_MACHINES = ("strict", "locked", "strict_config", "autounmask_write", "packages")


@dataclass(frozen=True, slots=True)
class TargetChoice:
    """Which target, whether its root is mounted instead of composed, and paths left out of it."""

    address: Address | None
    mount: bool = False
    leave_out: tuple[str, ...] = ()


def target_options(function: Function) -> Function:
    """``--target`` and its own, which the function gets as one `TargetChoice`, ``target``."""

    @wraps(function)
    def with_choice(*arguments: Any, **values: Any) -> Any:
        text, mount, leave_out = (values.pop(name) for name in _OWN)
        address = parse_address(text) if text is not None else None
        if address is None and (mount or leave_out):
            raise click.UsageError(f"{'--mount' if mount else '--leave-out'} needs --target")
        return function(*arguments, target=TargetChoice(address, mount, leave_out), **values)

    for option in (
        click.option(
            "--leave-out",
            metavar="PATH",
            multiple=True,
            help="With --target: take nothing below this path of the target. May be repeated.",
        ),
        click.option(
            "--mount",
            is_flag=True,
            help="With --target: mount its root by sshfs instead of composing an equal one (root).",
        ),
        click.option(
            "--target",
            metavar="ssh://[USER@]HOST[:PORT]",
            help="Build packages for this machine, in a root that equals its own; write them with "
            "an index to PROJECT/out/HOST/binpkgs.",
        ),
    ):
        with_choice = option(with_choice)
    return with_choice


def check_alone(choices: Choices, cluster: ClusterChoice) -> None:
    """Refuse options that mean nothing for a target. Raises click.UsageError."""
    for name in _OF_MACHINES:
        if getattr(choices, name):
            option = {"packages": "package"}.get(name, name).replace("_", "-")
            raise click.UsageError(f"--{option} cannot be used with --target")
    if cluster.address is not None:
        raise click.UsageError("--cluster cannot be used with --target")
