"""Errors of overlays in part."""

from __future__ import annotations

from collections.abc import Iterable

from cloche.config.errors import nearest
from cloche.errors import ClocheError, Exit

_FEW = 10  # names that are listed


class OverlayError(ClocheError):
    """An overlay, or a package of one, cannot be taken as it is."""


def offered(word: str, known: Iterable[str]) -> str | None:
    """The nearest name, or the first few of those that there are."""
    names = sorted(set(known))
    close = nearest(word, names)
    if close:
        return f"did you mean “{close}”?"
    more = ", …" if len(names) > _FEW else ""
    return f"there is: {', '.join(names[:_FEW])}{more}" if names else None


def not_taken(overlay: str, what: str, todo: str | None = None) -> OverlayError:
    """The overlay has something that is never taken, or is broken."""
    return OverlayError(what, where=f"overlay {overlay}", todo=todo)


def failed(overlay: str, what: str, todo: str | None, detail: str | None = None) -> OverlayError:
    """A fetch, or the reading of an ebuild, failed."""
    where = f"overlay {overlay}"
    return OverlayError(what, where=where, todo=todo, detail=detail, status=Exit.FAILED)
