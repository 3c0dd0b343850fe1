"""One configuration for both roots: the machine's own, and the seed's, over which tools are merged.

Portage gives the environment only to the root that ROOT names, and makes the other one's settings
from files alone (`portage.create_trees`). All that the guest sets is in the environment, so that
tools for builds would be made with other FEATURES than on a machine without a root of its own.
"""

from __future__ import annotations

import os
from typing import Any


def configured_alike() -> None:
    """Have Portage give the environment to the settings of both roots, from now on."""
    import portage

    # At its first use the name stands for a lazy import, which would replace what is put there.
    original, config = portage.create_trees, portage.config.__mro__[0]

    def of_seed(**arguments: Any) -> Any:
        if arguments.get("target_root") == "/":
            arguments["env"] = {**os.environ, "ROOT": "/", "SYSROOT": "/"}
        return config(**arguments)

    def create_trees(*arguments: Any, **more: Any) -> Any:
        portage.config = of_seed  # by this name it makes them; elsewhere it is a class
        try:
            return original(*arguments, **more)
        finally:
            portage.config = config

    portage.create_trees = create_trees
