"""Images for containers, loaded and run by podman and crun."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

#: crun refuses a host with both versions of cgroups, though it is to use none.
ALONE = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs none /sys/fs/cgroup && exec podman "$@"', "")
#: For `podman run`: without a network and cgroups, and podman's own limits are too high.
RUN = ("run", "--rm", "--network=none", "--cgroups=disabled", "--ulimit=nofile=1024:1024",
       "--ulimit=nproc=1024:1024")  # fmt: skip


@contextmanager
def loaded(archive: Path, ref: str) -> Iterator[Callable[..., str]]:
    """Load an image into a storage of its own; give what runs podman there."""
    with tempfile.TemporaryDirectory(prefix="p-") as short:  # podman takes no long --runroot
        places = ("--root", f"{short}/s", "--runroot", f"{short}/r", "--storage-driver=vfs")
        places += ("--runtime=crun", "--cgroup-manager=cgroupfs", "--events-backend=none")

        def podman(*words: str | Path) -> str:
            done = subprocess.run(
                [*ALONE, *places, *words], capture_output=True, text=True, cwd=short
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        podman("load", "-q", "-i", archive)
        yield podman
        podman("rmi", ref)
