"""Kinds of values that options of `cloche boot` take."""

from __future__ import annotations

from typing import Any

import click

from cloche.config.table import duration, size

_LEAST = 16 << 20  # bytes of memory


class Time(click.ParamType[float]):
    """Seconds, or a time as 90s or 5m."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Seconds of a time."""
        try:
            return value if isinstance(value, float) else duration(value)
        except ValueError:
            self.fail(f"“{value}” is not a time such as 90s or 5m", param, ctx)


class Size(click.ParamType[int]):
    """A size as 512M or 2G."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Bytes of a size of at least 16 MiB."""
        try:
            found = value if isinstance(value, int) else size(value)
        except ValueError:
            found = 0
        if found < _LEAST:
            self.fail(f"“{value}” is not a size of memory such as 512M or 2G", param, ctx)
        return found
