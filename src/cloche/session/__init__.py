"""The library: what every command of cloche is made of, without a command line.

`open_session` opens a project with a store and an engine; `Session` is what can be done with them:
make seeds, sync repositories, lock, fetch, plan, build, look around. `docs/api.md` has examples.
"""

from __future__ import annotations

from cloche.session.building import Preview, Result
from cloche.session.choices import Choices
from cloche.session.fetching import Fetch
from cloche.session.inputs import MadeSeed, Progressing, SeedOptions, Synced, SyncOptions
from cloche.session.locking import Locked
from cloche.session.session import Session, open_session

__all__ = [
    "Choices",
    "Fetch",
    "Locked",
    "MadeSeed",
    "Preview",
    "Progressing",
    "Result",
    "SeedOptions",
    "Session",
    "SyncOptions",
    "Synced",
    "open_session",
]
