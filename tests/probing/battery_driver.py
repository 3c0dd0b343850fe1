"""The battery's attempts without any sandbox, where all that was planted must be found.

Usage: battery_driver.py DIRECTORY SOURCE. Plants, starts itself again for the attempts as a guest
would be, but in the same namespaces, and prints the answers and the name of the
planted key as one JSON object.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def plant(directory: Path, source: str) -> None:
    from cloche.linux import mounts
    from cloche.probing.roots import host_root
    from cloche.probing.traps import planted
    from cloche.sandbox import userns

    userns.enter()
    with planted(directory, host_root) as (traps, _), (directory / "given").open("w") as extra:
        point = traps.directory / "bound"
        point.mkdir()
        bind = mounts.open_tree(traps.directory)
        mounts.move_mount(bind, point)
        os.close(bind)
        request = json.dumps(traps.request | {"work": str(directory)})
        command = [sys.executable, __file__, "attempt", source, traps.request["token"]]
        subprocess.run(command, input=request, text=True, check=True, pass_fds=[extra.fileno()])
        mounts.unmount(point)


def attempt(source: str) -> None:
    sys.path.insert(0, f"{source}/cloche")
    from guest import probe_rights, probe_shows

    request = json.load(sys.stdin)
    # Not the others: they would write to the host's own root.
    rights = (
        "userpriv",
        "network-sandbox",
        "ipc-sandbox",
        "pid-sandbox",
        "mount-sandbox",
        "user-namespaces",
        "ptrace",
    )
    attempts = {**probe_shows.ATTEMPTS, **{n: probe_rights.ATTEMPTS[n] for n in rights}}
    attempts.pop("disk")
    answers = {name: try_it(request) for name, try_it in attempts.items()}
    print(json.dumps({"answers": answers, "key": request["key"]}))


if __name__ == "__main__":
    if sys.argv[1] == "attempt":
        attempt(sys.argv[2])
    else:
        plant(Path(sys.argv[1]), sys.argv[2])
