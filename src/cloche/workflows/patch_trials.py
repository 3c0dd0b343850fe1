"""Whether a trial can go on from the last one's compile phase. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cloche.workflows.work_tree import Changed

#: Files from which prepare and configure make others.
_CONFIGURES = re.compile(
    r"(?:.*/)?(?:configure|[^/]*\.(?:ac|am|in|m4|cmake|pro)|CMakeLists\.txt|meson\.build"
    r"|meson_options\.txt|meson\.options|setup\.(?:py|cfg)|pyproject\.toml|Cargo\.(?:toml|lock)"
    r"|go\.(?:mod|sum))"
)


def reason_to_start_over(changed: Sequence[Changed]) -> str | None:
    """Why these changes need unpack, prepare and configure again; None if they do not."""
    for each in changed:
        if not each.is_plain:
            return f"{each.path} is not a regular file"
        if _CONFIGURES.fullmatch(each.path):
            return f"{each.path} may change what configure makes"
    return None
