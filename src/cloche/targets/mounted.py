"""A target's root itself, mounted by sshfs: what is not read does not travel.

The mount is made in a mount namespace of this process and everything that it starts, and sshfs ends
with it: nothing is left, however the build ends. Layers over it hide what holds secrets.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cloche.errors import ClocheError, Exit
from cloche.layers import Layer, commit
from cloche.linux import mounts, processes
from cloche.roots import own_mounts
from cloche.sandbox import userns
from cloche.store import Store
from cloche.targets.connection import Connection
from cloche.targets.listing import Listing
from cloche.targets.remote import left_out
from cloche.tasks.build import PORTAGE_TMP

_PATIENCE = 30.0  # seconds until the mount must be there
_CACHED = 3600  # seconds for which the target is taken not to change
_OPAQUE = "user.overlay.opaque"
#: Without no_contain_symlinks absolute links give EPERM, and nothing runs.
_OPTIONS = (
    *("ro", "no_contain_symlinks", "allow_other", "default_permissions", "kernel_cache"),
    *(f"entry_timeout={_CACHED}", f"attr_timeout={_CACHED}", f"negative_timeout={_CACHED}"),
    *(f"dcache_timeout={_CACHED}", "dcache_max_size=1000000", "max_conns=4"),
)


def prepare() -> None:
    """Enter a mount namespace for mounts of sshfs. Raises ClocheError.

    Call it before the session is opened, in a process without threads.
    """
    if os.geteuid() != 0 or not userns.is_real_root():
        what = "--mount needs root: the kernel lets nobody else put an overlay on sshfs"
        raise ClocheError(what, todo="leave out --mount", status=Exit.HOST)
    if shutil.which("sshfs") is None:
        raise ClocheError("sshfs not found", todo="install sshfs", status=Exit.HOST)
    own_mounts()


@contextmanager
def mounted_root(
    store: Store, connection: Connection, listing: Listing, leave_out: Sequence[str]
) -> Iterator[tuple[Layer, Layer]]:
    """The target's root for a block: the mount, and a layer over it that hides what it must.

    Its ID is made of the listing, and marked: what is built over it is not taken for what was built
    over the composed root. Raises ClocheError.
    """
    hidden = _hiding(store, listing, leave_out)
    marked = hashlib.sha256(f"mounted {listing.digest} {hidden.id}".encode()).hexdigest()
    label = str(connection.address)
    files = sum(entry.type != "directory" for entry in listing.entries.values())
    size = sum(entry.size for entry in listing.entries.values())
    with store.workspace("mount") as room:
        place = room / "root"
        place.mkdir()
        with _sshfs(connection, place):
            yield Layer(marked, place, "target-mount", label, size, files), hidden


@contextmanager
def _sshfs(connection: Connection, place: Path) -> Iterator[None]:
    """Mount the target's root for a block. Raises ClocheError."""
    address = connection.address
    host = f"[{address.host}]" if ":" in address.host else address.host
    source = f"{address.user}@{host}:/" if address.user else f"{host}:/"
    port = ("-p", str(address.port)) if address.port else ()
    options = ",".join((*_OPTIONS, f"ssh_command={connection.ssh_command}"))
    with tempfile.TemporaryFile() as said:
        sshfs = subprocess.Popen(
            ["sshfs", "-f", *port, "-o", options, source, str(place)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            preexec_fn=_alone,
        )
        try:
            limit = time.monotonic() + _PATIENCE
            while os.fsencode(place) not in mounts.mount_points():
                if sshfs.poll() is not None or time.monotonic() > limit:
                    said.seek(0)
                    lines = said.read().decode(errors="replace").strip().splitlines() or ["?"]
                    what = f"sshfs cannot mount its root: {lines[-1]}"
                    raise ClocheError(what, where=address, status=Exit.FAILED)
                time.sleep(0.01)
            yield
        finally:
            if os.fsencode(place) in mounts.mount_points():
                mounts.unmount(place, detach=True)
            sshfs.kill()
            sshfs.wait()


def _alone() -> None:
    os.setsid()  # Ctrl-C is for the command line to handle
    processes.die_with_parent(signal.SIGKILL)


def _hiding(store: Store, listing: Listing, leave_out: Sequence[str]) -> Layer:
    """A layer that hides what never leaves a target, and has its files without passwords."""
    with store.workspace("hiding") as room:
        tree, top = room / "tree", listing.entries[b""]
        tree.mkdir()
        os.chown(tree, top.uid, top.gid)
        tree.chmod(top.mode)
        # Portage's configuration is hidden by what comes over this layer.
        for name in sorted({*left_out(leave_out)} - {"etc/portage"}):
            _hide(tree, name, listing)
        if (tree / "var/tmp").is_dir():  # what is hidden may hold no mount point
            (tree / PORTAGE_TMP.lstrip("/")).mkdir()
        for path, content in listing.contents.items():
            entry, place = listing.entries[path], tree / os.fsdecode(path)
            if _above(tree, os.fsdecode(path), listing):
                place.write_bytes(content)
                os.chown(place, entry.uid, entry.gid)
                place.chmod(entry.mode)
        return commit(store, tree, kind="target-hidden", label="hidden", rules={})


def _hide(tree: Path, name: str, listing: Listing) -> None:
    """Hide a directory's content, or a file as a whole."""
    entry = listing.entries.get(os.fsencode(name))
    if not name or not _above(tree, name, listing) or os.path.lexists(tree / name):
        return
    if entry is None or entry.type != "directory":
        os.mknod(tree / name, 0o20000, 0)  # a whiteout
        return
    (tree / name).mkdir()
    os.chown(tree / name, entry.uid, entry.gid)
    (tree / name).chmod(entry.mode)
    os.setxattr(tree / name, _OPAQUE, b"y")


def _above(tree: Path, name: str, listing: Listing) -> bool:
    """Make the directories above a name as the target has them; say whether it has them."""
    *above, _ = name.split("/")
    for depth in range(1, len(above) + 1):
        part = "/".join(above[:depth])
        entry = listing.entries.get(os.fsencode(part))
        if entry is None or entry.type != "directory":
            return False
        if not (tree / part).is_dir():
            (tree / part).mkdir()
            os.chown(tree / part, entry.uid, entry.gid)
            (tree / part).chmod(entry.mode)
    return True
