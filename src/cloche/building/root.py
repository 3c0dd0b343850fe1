"""A root in which a command of the user's is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cloche.sandbox.base import Sandbox

SHELLS: Final = ("/bin/bash", "/bin/sh")


@dataclass(frozen=True, slots=True)
class Root:
    """A sandbox to start a shell in, and notes for the user; ``shell`` is None if it has none."""

    sandbox: Sandbox
    shell: str | None = SHELLS[0]
    cwd: str = "/"
    note: str = ""
    login: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
