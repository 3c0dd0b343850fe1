"""Copy-on-write roots from layers, independent of Gentoo and of stores.

`open_root` shows a stack of layers at a directory, by what the host supports (overlayfs,
fuse-overlayfs, reflinks, hard links, copies), and `capture_root` makes a layer from what was
written there. `mount_overlay` mounts the kernel's overlay with any number of layers; `unions` keeps
in a store what many roots share.
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
