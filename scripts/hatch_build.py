"""For hatchling: a wheel gets the manual and the completion scripts if they exist."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Share(BuildHookInterface[Any]):
    """Adds `share/`, which `make man` and `make dist` write, and which an sdist has."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the directory as data of the wheel. Hatchling refuses a directory that is missing."""
        del version
        share = Path(self.root, "share")
        if share.is_dir():
            build_data["shared_data"][str(share)] = "share"
