"""Roots made of layers, for whoever wants a copy-on-write root: no Gentoo, no store needed.

::

    own_mounts()
    with open_root([base, tools], at, upper=scratch) as root:
        subprocess.run(["chroot", root.path, "make", "install"], check=True)
        capture_root(root, destination)

Each backend shows the same tree and gives the same layer; they differ in what they need and cost.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cloche.errors import ClocheError, Exit
from cloche.layers.capture import CaptureReport
from cloche.layers.errors import not_empty, refuse_full
from cloche.linux import mounts, processes
from cloche.roots.backend import Backend, Capture, Place
from cloche.roots.copied import Copied, HardLinked, Reflinked
from cloche.roots.errors import (
    BackendUnavailableError,
    RootError,
    shared_inodes,
)
from cloche.roots.fuse_overlay import FuseOverlay
from cloche.roots.kernel_overlay import KernelOverlay

# The best first. overlayfs costs milliseconds to open and next to nothing to use. Trees made for
# the occasion cost time for each name once, and then are as fast as any directory: reflinks no
# room, links no room but no writing either, copies both and everywhere. fuse-overlayfs opens at
# once, but is 20 times slower at every file from then on, and is not right in all that it shows.
_BACKENDS: tuple[Backend, ...] = (
    KernelOverlay("overlay", "fsmount"),
    KernelOverlay("overlay-mount2", "mount2"),
    Reflinked(),
    HardLinked(),
    Copied(),
    FuseOverlay(),
)


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a backend can be had in a directory: ``reason`` says why not, and is None if so."""

    name: str
    writable: bool
    reason: str | None

    @property
    def there(self) -> bool:
        """True where it can be had."""
        return self.reason is None


@dataclass(frozen=True, slots=True)
class Root:
    """An open root: a tree at ``path``; ``backend`` is the name of what shows it."""

    path: Path
    lowers: tuple[Path, ...]
    writable: bool
    backend: str
    _capture: Capture = field(repr=False)


class _Once:
    """A backend's capture: for one layer, and while the root is open."""

    def __init__(self, place: Place, capture: Capture) -> None:
        self.place = place
        self.capture = capture
        self.over = False

    def __call__(self, destination: Path, drop: Sequence[str]) -> CaptureReport:
        if self.over:
            raise RootError(
                "the root has ended: one layer can be captured, while it is open",
                where=self.place.at,
                todo="open another one",
            )
        refuse_full(destination)
        report = self.capture(destination, drop)
        self.over = True
        return report


def own_mounts() -> None:
    """Give this process a mount namespace of its own, so that its mounts go when it dies.

    To be called once, as uid 0 and before there are threads; an ordinary user calls
    `cloche.sandbox.userns.enter`, which does the same and more. Raises OSError.
    """
    processes.unshare(processes.CLONE_NEWNS)
    mounts.make_private()


@contextmanager
def open_root(
    lowers: Sequence[Path], at: Path, *, upper: Path | None = None, backend: str | None = None
) -> Iterator[Root]:
    """Show the tree that ``lowers`` (the bottom first) make together at ``at``, while in use.

    ``at`` is an empty directory, and empty again afterwards. With ``upper``, another empty
    directory, the root can be written to, and what was written is gone in the end if `capture_root`
    did not make a layer of it; without, it is read-only. ``backend`` is a name that `backends`
    gives, or None for the best that works there. Mounts are made in the caller's mount namespace:
    see `own_mounts`. Overlays change the working directory for a moment, for all threads. Raises
    OSError, `LayerError`, `RootError`.
    """
    if not lowers:
        raise ValueError("a root has at least one layer")
    for directory in (at, upper):
        if directory is not None and any(directory.iterdir()):
            raise not_empty(directory)
    # The caller may change its directory meanwhile.
    at, upper = at.absolute(), upper and upper.absolute()
    place = Place(tuple(Path(lower).absolute() for lower in lowers), at, upper)
    chosen = _best(at, writable=upper is not None) if backend is None else _named(backend)
    if upper is not None and not chosen.writable:
        raise shared_inodes(chosen.name)
    with chosen.show(place) as taking:
        once = _Once(place, taking)
        try:
            yield Root(at, place.lowers, upper is not None, chosen.name, once)
        finally:
            once.over = True


def capture_root(root: Root, destination: Path, *, drop: Sequence[str] = ()) -> CaptureReport:
    """Make a clean layer of what was written to an open root, which this ends.

    The layer, put over the root's lowers, gives what the root showed, but for times of what changed
    in nothing else, and with names that are one inode in the lowers so again. It lies at
    ``destination``, which is missing, and on the file system of ``at`` and ``upper``. ``drop`` are
    patterns of paths that no layer holds. Raises OSError, RootError when a process still uses
    the root (which cannot be told of copies: whoever has a file of them open to write can still
    change the layer), when it is read-only, and the second time; LayerError for a full
    ``destination``.
    """
    return root._capture(destination, drop)


def backends(directory: Path) -> tuple[Availability, ...]:
    """Try every backend within ``directory``; the best first. Nothing is left behind there."""
    return tuple(
        Availability(backend.name, backend.writable, _reason(backend, directory))
        for backend in _BACKENDS
    )


def _named(name: str) -> Backend:
    for backend in _BACKENDS:
        if backend.name == name:
            return backend
    known = ", ".join(backend.name for backend in _BACKENDS)
    raise RootError(f"no backend is called {name}", todo=f"choose one of {known}")


def _best(at: Path, *, writable: bool) -> Backend:
    reasons = []
    for backend in _BACKENDS:
        if backend.writable or not writable:
            reason = _reason(backend, at)
            if reason is None:
                return backend
            reasons.append(f"{backend.name}: {reason}")
    raise RootError(
        "no backend can show a root there",
        where=at,
        detail="\n".join(reasons),
        status=Exit.HOST,
    )


def _reason(backend: Backend, directory: Path) -> str | None:
    """Open a small root in a directory and use it; say why that cannot be done."""
    with tempfile.TemporaryDirectory(prefix=".root-", dir=directory) as name:
        room = Path(name)
        lowers = (room / "low", room / "high")
        for layer in (*lowers, room / "at", room / "upper"):
            layer.mkdir()
        for layer in lowers:
            (layer / "name").write_text(layer.name)
        place = Place(lowers, room / "at", room / "upper" if backend.writable else None)
        try:
            with backend.show(place) as taking:
                _try(place, taking)
        except BackendUnavailableError as error:
            return error.reason
        except ClocheError as error:
            return error.what
        except OSError as error:
            return error.strerror or str(error)
    return None


def _try(place: Place, taking: Capture) -> None:
    if (place.at / "name").read_text() != "high":
        raise OSError(0, "it does not show the topmost layer")
    if place.upper is None:
        return
    (place.at / "name").unlink()
    (place.at / "new").write_text("new")
    destination = place.at.parent / "layer"
    taking(destination, ())
    if sorted(path.name for path in destination.iterdir()) != ["name", "new"]:
        raise OSError(0, "it does not keep what is written")
