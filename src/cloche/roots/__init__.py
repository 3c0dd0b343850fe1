"""Copy-on-write roots out of layers: no Gentoo and no store needed.

`open_root` shows a stack of layers at a directory, by whatever the host can do (overlayfs,
fuse-overlayfs, reflinks, hard links, copies), and `capture_root` makes a layer of what was written
there. `mount_overlay` is the kernel's overlay at any number of layers; `unions` keeps in a store
what many roots share.
"""

from __future__ import annotations

from cloche.roots.errors import BackendUnavailableError, RootError
from cloche.roots.opening import (
    Availability,
    Root,
    backends,
    capture_root,
    open_root,
    own_mounts,
)
from cloche.roots.overlay import mount_overlay

__all__ = [
    "Availability",
    "BackendUnavailableError",
    "Root",
    "RootError",
    "backends",
    "capture_root",
    "mount_overlay",
    "open_root",
    "own_mounts",
]
