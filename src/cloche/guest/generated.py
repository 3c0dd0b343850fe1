"""The files that every root makes for itself out of what is installed in it."""

from __future__ import annotations

from pathlib import Path

VDB = Path("/var/db/pkg")
PROFILE_ENV = Path("/etc/profile.env")


def refresh_generated(*, always: bool = False) -> None:
    """Make ld.so.cache, profile.env and their like from what this root holds.

    A root that holds no merged package has them as its seed made them, so nothing is done.
    """
    if not always and not any(VDB.glob("*/*/CONTENTS")):
        return
    from portage.util.env_update import env_update

    # Without earlier time stamps every library directory counts as changed: ldconfig runs once.
    env_update(makelinks=1, prev_mtimes={}, writemsg_level=_quiet)


def _quiet(*_: object, **__: object) -> None:
    """The regenerating is no news."""
