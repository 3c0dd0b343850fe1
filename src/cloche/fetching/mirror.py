"""Chooses the Gentoo mirror."""

from __future__ import annotations

import os

DEFAULT = "https://distfiles.gentoo.org"
"""Portage's own default (make.globals, GENTOO_MIRRORS)."""

VARIABLE = "CLOCHE_GENTOO_MIRROR"
"""The environment's mirror: preferred to the default, but not to an option or declaration."""


def gentoo_mirror(*wanted: str | None) -> str:
    """The address of a mirror: the first wanted one, else the environment's, else the default."""
    named = next(filter(None, wanted), None)
    return (named or os.environ.get(VARIABLE) or DEFAULT).rstrip("/")
