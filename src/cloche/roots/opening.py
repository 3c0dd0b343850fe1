"""Opens roots made of layers, and captures what was written there.

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

# The best first. overlayfs takes milliseconds to open and costs next to nothing to use. New trees
# take time for each name once, and then are as fast as any directory: reflinks need no space, links
# no space but are read-only, copies need space but work everywhere. fuse-overlayfs opens at once,
# but is 20 times slower for every file, and not correct in all cases.
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
    """Whether a backend works in a directory: ``reason`` says why not, and is None if it does."""

    name: str
    writable: bool
    reason: str | None

    @property
    def there(self) -> bool:
        """True if it works."""
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
    """A backend's capture, which works once, while the root is open."""

    def __init__(self, place: Place, capture: Capture) -> None:
        self.place = place
        self.capture = capture
        self.over = False

    def __call__(self, destination: Path, drop: Sequence[str]) -> CaptureReport:
        if self.over:
            raise RootError(
                "the root has ended: a layer can be captured once, while it is open",
                where=self.place.at,
                todo="open another one",
            )
        refuse_full(destination)
        report = self.capture(destination, drop)
        self.over = True
        return report


def own_mounts() -> None:
    """Give this process its own mount namespace, so that its mounts end with it.

    Call it once, as uid 0, before starting threads; an ordinary user calls
    `cloche.sandbox.userns.enter`, which includes this. Raises OSError.
    """
    processes.unshare(processes.CLONE_NEWNS)
    mounts.make_private()


@contextmanager
def open_root(
    lowers: Sequence[Path], at: Path, *, upper: Path | None = None, backend: str | None = None
) -> Iterator[Root]:
    """Show the tree that ``lowers`` (the bottom first) make together at ``at``, for the context.

    ``at`` is an empty directory, and empty again afterwards. With ``upper``, another empty
    directory, the root is writable, and its changes are lost unless `capture_root` makes a layer of
    them; without, it is read-only. ``backend`` is a name from `backends`, or None for the best that
    works there. Mounts are made in the caller's mount namespace: see `own_mounts`. Overlays change
    the working directory of all threads for a moment. Raises OSError, `LayerError`, `RootError`.
    """
    if not lowers:
        raise ValueError("a root has at least one layer")
    for directory in (at, upper):
        if directory is not None and any(directory.iterdir()):
            raise not_empty(directory)
    # The caller may change the working directory before the root ends.
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
    """Make a clean layer from what was written to an open root, and end the root.

    The layer over the root's lowers gives what the root showed, except for the times of files that
    are otherwise unchanged; hard links of the lowers are hard links again. ``destination`` must not
    exist, and be on the file system of ``at`` and ``upper``. ``drop`` are patterns of paths that no
    layer holds. Raises OSError; RootError if a process still uses the root (not detected for
    copies: a process with an open file can still change the layer), if it is read-only, and the
    second time; LayerError if ``destination`` is not empty.
    """
    return root._capture(destination, drop)


def backends(directory: Path) -> tuple[Availability, ...]:
    """Try every backend in ``directory``, the best first, and leave nothing behind."""
    return tuple(
        Availability(backend.name, backend.writable, _reason(backend, directory))
        for backend in _BACKENDS
    )


def _named(name: str) -> Backend:
    for backend in _BACKENDS:
        if backend.name == name:
            return backend
    known = ", ".join(backend.name for backend in _BACKENDS)
    raise RootError(f"unknown backend {name}", todo=f"choose one of {known}")


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
    """Open a small root in a directory and use it; return why it fails, or None."""
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
        raise OSError(0, "it does not keep writes")
