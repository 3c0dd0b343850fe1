"""Gentoo's mirrors: which one is asked."""

from __future__ import annotations

import os

DEFAULT = "https://distfiles.gentoo.org"
"""Portage's own default (make.globals, GENTOO_MIRRORS)."""

VARIABLE = "CLOCHE_GENTOO_MIRROR"
"""The environment's mirror: goes before the default and after what was given or declared."""


def gentoo_mirror(*wanted: str | None) -> str:
    """The address of a mirror: the first that is wanted, the environment's, the default."""
    named = next(filter(None, wanted), None)
    return (named or os.environ.get(VARIABLE) or DEFAULT).rstrip("/")
