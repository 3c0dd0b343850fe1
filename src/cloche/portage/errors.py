"""Errors in repositories and in names of Portage's files."""

from __future__ import annotations

from cloche.config.errors import ConfigError
from cloche.errors import ClocheError


class RepositoryError(ConfigError):
    """An ebuild repository that cannot be used as it is."""


class BadNameError(ClocheError):
    """A string that is not a CPV."""
