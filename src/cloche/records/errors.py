"""Errors of lookups: unknown packages, and machines that were not built."""

from __future__ import annotations

from collections.abc import Sequence

from cloche.errors import ClocheError


def unknown_package(atom: str, known: Sequence[str]) -> ClocheError:
    """An atom on the command line matches no package; ``known`` are similar names."""
    meant = f"did you mean {', '.join(known)}?" if known else "see `cloche plan MACHINE`"
    return ClocheError(f"no package matches `{atom}`", todo=meant)


def not_built(name: str, command: str) -> ClocheError:
    """Something has to be built first, by ``command``."""
    return ClocheError(f"{name}: not built yet", todo=f"run `{command}`")
