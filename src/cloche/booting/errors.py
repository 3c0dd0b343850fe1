"""Errors of booting: an image that does not boot in this way, a host that lacks a program."""

from __future__ import annotations

from pathlib import Path

from cloche.errors import ClocheError, Exit


class BootError(ClocheError):
    """An image cannot be started, or not as it was asked for."""


def not_bootable(path: Path, what: str, todo: str) -> BootError:
    """The content of an image cannot be booted."""
    return BootError(what, where=path, todo=todo)


def missing_program(name: str, packages: str) -> BootError:
    """The host lacks a program or firmware; ``packages`` says which package has it."""
    return BootError(f"{name} is not installed", todo=f"install {packages}", status=Exit.HOST)


def ended(program: str, said: str, log: str = "") -> BootError:
    """A program ended by itself; ``said`` is its own output, ``log`` the end of the console."""
    last = said.strip().rpartition("\n")[2]
    what = f"{program} ended{f': {last}' if last else ''}"
    return BootError(what, detail=log or None, status=Exit.FAILED)
