"""Errors of distcc."""

from __future__ import annotations

from pathlib import Path

from cloche.errors import ClocheError, Exit


class DistccError(ClocheError):
    """The wrapper cannot be installed, or compiles not be served, as asked."""


def no_compiler(name: str, detail: str | None = None) -> DistccError:
    """The wrapper, a C program, cannot be compiled."""
    what = f"{name} cannot compile the wrapper" if detail else f"{name} is not installed"
    todo = "name a C compiler with --cc"
    return DistccError(what, todo=todo, detail=detail, status=Exit.HOST)


def in_the_way(path: Path) -> DistccError:
    """A file would be replaced that is neither the wrapper nor a link to it or to distcc."""
    return DistccError("this file is in the way", where=path, todo="remove it, or name another DIR")


def cannot_listen(place: str | tuple[str, int], error: OSError) -> DistccError:
    """Compiles of others cannot be waited for at this place."""
    where = place if isinstance(place, str) else f"{place[0]}:{place[1]}"
    what = f"cannot listen: {error.strerror or error}"
    todo = "name another place with --listen"
    return DistccError(what, where=where, todo=todo, status=Exit.HOST)


def no_toolchain(id: str, kind: str) -> DistccError:
    """Compilers are asked for in a layer that is of no seed."""
    todo = "name the layers of a seed"
    return DistccError(f"the layer {id} ({kind}) is no toolchain", todo=todo)
