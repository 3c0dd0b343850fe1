"""What can go wrong with roots."""

# ruff: noqa: D102 - the texts of an error are documented in cloche.errors

from __future__ import annotations

import errno
from pathlib import Path

from cloche.errors import ClocheError, Exit


class OverlayUnavailableError(ClocheError):
    """The kernel refused an overlay mount: ``errno``, its words, and how many layers it had."""

    status = Exit.HOST

    def __init__(self, number: int, message: str, layers: int) -> None:
        super().__init__(number, message, layers)
        self.errno = number
        self.message = message
        self.layers = layers

    @property
    def what(self) -> str:
        """Say what could not be done, and why."""
        if self.wrong_place:
            return "the store's file system cannot be the upper part of an overlay"
        return f"cannot mount an overlay of {self.layers} layers: {self.message}"

    @property
    def wrong_place(self) -> bool:
        """True where overlays work, but not over this file system (an overlay itself, NFS)."""
        return "not supported as upperdir" in self.message

    @property
    def todo(self) -> str | None:
        """Say what mends it, where that is known."""
        if self.wrong_place:
            return (
                "choose another --store: one on ext4, xfs, btrfs or tmpfs, not inside of a "
                "container's own root, which is an overlay itself"
            )
        if self.errno in (errno.ENODEV, errno.ENOSYS):
            return "load the module with `modprobe overlay`, or use Linux 5.11 or later"
        if self.errno == errno.EPERM:
            return "use Linux 5.11 or later, and allow mounts where this container was started"
        return None


class TooManyLayersError(ClocheError):
    """More layers than overlays can be nested for; ``layer`` is one that hides files, or None."""

    status = Exit.HOST

    def __init__(self, layers: int, layer: Path | None) -> None:
        super().__init__(layers, layer)
        self.layers = layers
        self.layer = layer

    @property
    def what(self) -> str:
        """Say what could not be done, and why."""
        reason = f", and {self.layer} hides files of those below it" if self.layer else ""
        return f"{self.layers} layers are too many for overlayfs{reason}"

    @property
    def todo(self) -> str | None:
        """Say what mends it, where that is known."""
        return "merge the layers that change least into one"


class BackendUnavailableError(ClocheError):
    """A backend cannot show a root here: its ``name``, and the ``reason``."""

    status = Exit.HOST

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    @property
    def what(self) -> str:
        return f"no root by {self.name}: {self.reason}"

    @property
    def todo(self) -> str:
        return "take another backend"


class NoBackendError(ClocheError):
    """No backend at all can show a root there; ``reasons`` has one line for each."""

    status = Exit.HOST

    def __init__(self, place: Path, reasons: tuple[str, ...]) -> None:
        super().__init__(place, reasons)
        self.place = place
        self.reasons = reasons

    @property
    def what(self) -> str:
        return "no backend can show a root there"

    @property
    def where(self) -> str:
        return str(self.place)

    @property
    def detail(self) -> str:
        return "\n".join(self.reasons)


class UnknownBackendError(ClocheError):
    """There is no backend of this name; ``known`` are those that there are."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(name, known)
        self.name = name
        self.known = known

    @property
    def what(self) -> str:
        return f"no backend is called {self.name}"

    @property
    def todo(self) -> str:
        return f"choose one of {', '.join(self.known)}"


class SharedInodesError(ClocheError):
    """A root of hard links was to be writable, whose files are those of the layers."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    @property
    def what(self) -> str:
        return f"a root by {self.name} shares its files with the layers and cannot be writable"

    @property
    def todo(self) -> str:
        return "open it without an upper directory, or take another backend"


class ReadOnlyRootError(ClocheError):
    """What was written to a root was to be captured, but nothing can be written to it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    @property
    def what(self) -> str:
        return "the root is read-only: there is nothing to capture"

    @property
    def where(self) -> str:
        return str(self.path)

    @property
    def todo(self) -> str:
        return "open it with an upper directory"


class RootEndedError(ClocheError):
    """A root that was captured already, or whose block has been left, was to be captured."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    @property
    def what(self) -> str:
        return "the root has ended: one layer can be captured, while it is open"

    @property
    def where(self) -> str:
        return str(self.path)

    @property
    def todo(self) -> str:
        return "open another one"


class RootBusyError(ClocheError):
    """A process still uses a root that is to be captured: an open file, a working directory."""

    status = Exit.FAILED

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    @property
    def what(self) -> str:
        return "the root is still in use"

    @property
    def where(self) -> str:
        return str(self.path)

    @property
    def todo(self) -> str:
        return "end what was started in it"
