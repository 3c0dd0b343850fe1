"""Errors of opening roots: no backend, too many layers, a root in use."""

from __future__ import annotations

import errno
from pathlib import Path

from cloche.errors import ClocheError, Exit


class RootError(ClocheError):
    """A root cannot be shown, or its changes cannot be captured."""


class BackendUnavailableError(RootError):
    """A backend cannot show a root here: its ``name``, and the ``reason``."""

    status = Exit.HOST

    def __init__(self, name: str, reason: str) -> None:
        what = f"cannot open a root with backend {name}: {reason}"
        super().__init__(what, todo="use another backend")
        self.reason = reason


def overlay_unavailable(error: OSError, layers: int) -> RootError:
    """The kernel refused an overlay mount of that many layers."""
    what, todo = f"cannot mount an overlay of {layers} layers: {error}", None
    # Overlays work, but not over this file system (an overlay itself, NFS).
    if "not supported as upperdir" in str(error):
        what = "the store's file system cannot be the upper part of an overlay"
        todo = (
            "choose another --store: one on ext4, xfs, btrfs or tmpfs, not inside of a "
            "container's own root, which is an overlay itself"
        )
    elif error.errno in (errno.ENODEV, errno.ENOSYS):
        todo = "load the module with `modprobe overlay`, or use Linux 5.12 or later"
    elif error.errno == errno.EPERM:
        todo = "use Linux 5.12 or later, and allow mounts where this container was started"
    return RootError(what, todo=todo, status=Exit.HOST)


def too_many_layers(layers: int, layer: Path | None = None) -> RootError:
    """Too many layers for nested overlays; ``layer`` is one that hides files, or None."""
    reason = f", and {layer} hides files of those below it" if layer else ""
    return RootError(
        f"{layers} layers are too many for overlayfs{reason}",
        todo="merge the layers that change least into one",
        status=Exit.HOST,
    )


def shared_inodes(name: str) -> RootError:
    """A writable root of hard links was requested, but its files are those of the layers."""
    return RootError(
        f"a root by {name} shares its files with the layers and cannot be writable",
        todo="open it without an upper directory, or use another backend",
    )


def read_only_root(path: Path) -> RootError:
    """A capture of a read-only root was requested."""
    what = "the root is read-only: there is nothing to capture"
    return RootError(what, where=path, todo="open it with an upper directory")
