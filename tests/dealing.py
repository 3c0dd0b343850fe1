"""Which tests go to one worker of pytest-xdist together."""

from __future__ import annotations

from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

#: Rooms whose tests must not run beside each other.
ALONE = ("sandbox", "engines", "vm", "probing")


class Modules(LoadScopeScheduling):
    """What lies in one module runs in one worker, one after the other.

    Tests of sandboxes look for what is left of them on the whole host, so they are one group.
    """

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        room = Path(module).parent.name
        return "sandboxes" if room in ALONE else module
