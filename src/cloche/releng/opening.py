"""The type of functions that open a session for the project of a spec."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from cloche.config.project import Project
from cloche.session.session import Session

Opening = Callable[[Project], AbstractContextManager[Session]]
"""Opens a session for a project: the caller's store, engine and display."""
