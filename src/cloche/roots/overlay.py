"""Composes a root from any number of layers with overlayfs.

The kernel takes 500 lower directories (one fewer in 6.8). Beyond that, the bottom ones become a
read-only inner overlay, which is the lowest directory of the outer one; overlayfs allows one level
of this. An inner overlay hides its own whiteouts, which is right at the bottom, where nothing lies
below, and wrong elsewhere: chunks in the middle, needed for more than 997 layers, consist only of
layers without whiteouts and opaque directories.

Lower directories are listed bottom first, as everywhere in cloche.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cloche.linux import mounts
from cloche.roots.errors import overlay_unavailable, too_many_layers

Api = Literal["fsmount", "mount2"]
"""The kernel's calls: those of fsopen(2), fsconfig(2) and fsmount(2), or mount(2)."""

#: A lower directory. Making hundreds of paths from strings takes as long as an exec.
Place = Path | str

MAX_LOWERS = 499
_OPTIONS = {"xino": "on", "index": "off"}
_FLAGS = ("userxattr",)


@dataclass(frozen=True, slots=True)
class Stack:
    """Lower directories grouped into overlays: each group is one entry of the outer overlay."""

    groups: tuple[tuple[Place, ...], ...]

    @property
    def inner(self) -> int:
        """The number of inner overlays."""
        return sum(len(group) > 1 for group in self.groups)


def mount_overlay(
    lowers: Sequence[Place],
    target: Path,
    *,
    top: Path | None = None,
    work: Path | None = None,
    stage: Path | None = None,
    attributes: int = 0,
) -> None:
    """Mount the tree that ``lowers`` (bottom first) and ``top`` make together at ``target``.

    Call it in a private mount namespace. Without ``top`` the tree is read-only. ``work`` must be
    empty and on the file system of ``top``; it cannot be used twice. ``stage`` is an empty
    directory for inner overlays, by default ``target``. ``attributes`` are
    ``mounts.MOUNT_ATTR_*``. Raises RootError.
    """
    fd = compose(lowers, top=top, work=work, stage=stage or target, attributes=attributes)
    try:
        mounts.move_mount(fd, target)
    finally:
        os.close(fd)


def compose(
    lowers: Sequence[Place],
    *,
    top: Path | None = None,
    work: Path | None = None,
    stage: Path,
    attributes: int = 0,
    api: Api | None = None,
) -> int:
    """Make the same tree as `mount_overlay`; return the descriptor of the detached mount.

    ``stage`` is an empty directory for temporary use. Without ``api`` the new calls are tried, then
    mount(2) for kernels before 6.8, which lack ``lowerdir+``.
    """
    if (top is None) != (work is None):
        raise ValueError("top and work go together")
    if len(lowers) == 1 and top is None:
        return _bind_read_only(lowers[0], attributes)
    try:
        groups = spread(lowers).groups
        with _inner_overlays(groups, stage, api) as entries:
            return _overlay(entries, top, work, stage, attributes, api)
    except OSError as error:
        raise overlay_unavailable(error, len(lowers)) from error


def spread(lowers: Sequence[Place], limit: int = MAX_LOWERS) -> Stack:
    """Decide which lower directories become inner overlays, so that at most ``limit`` remain.

    Raises RootError if whiteouts or the nesting limit of overlayfs forbid it.
    """
    if len(lowers) <= limit:
        return Stack(tuple((lower,) for lower in lowers))
    bottom, rest = tuple(lowers[:limit]), list(lowers[limit:])
    chunks = 0
    while chunks * limit + (limit - 1 - chunks) < len(rest):
        chunks += 1
        if chunks >= limit:
            raise too_many_layers(len(lowers))
    merged_count = max(0, len(rest) - (limit - 1 - chunks))
    merged, direct = rest[:merged_count], rest[merged_count:]
    for layer in merged:
        if hides_something(layer):
            raise too_many_layers(len(lowers), Path(layer))
    middle = [tuple(merged[at : at + limit]) for at in range(0, len(merged), limit)]
    return Stack((bottom, *middle, *((layer,) for layer in direct)))


def hides_something(layer: Place) -> bool:
    """Tell whether a layer holds a whiteout or an opaque directory."""
    for directory, _, files in os.walk(layer):
        with contextlib.suppress(OSError):
            if os.getxattr(directory, "user.overlay.opaque", follow_symlinks=False):
                return True
        for name in files:
            state = os.lstat(f"{directory}/{name}")
            if stat.S_ISCHR(state.st_mode) and state.st_rdev == 0:
                return True
    return False


def _bind_read_only(path: Place, attributes: int) -> int:
    try:
        fd = mounts.open_tree(path)
        mounts.set_attributes(fd, attributes | mounts.MOUNT_ATTR_RDONLY)
    except OSError as error:
        raise overlay_unavailable(error, 1) from error
    return fd


@contextlib.contextmanager
def _inner_overlays(
    groups: Sequence[Sequence[Place]], stage: Path, api: Api | None
) -> Iterator[list[Place]]:
    """Replace each group of several directories by a read-only overlay of them.

    Not every kernel takes a directory of a detached mount as a lower, so inner overlays are
    attached in a tmpfs on ``stage`` until the outer one, which clones their mounts, is made.
    """
    if all(len(group) == 1 for group in groups):
        yield [group[0] for group in groups]
        return
    with _opened(group[0] for group in groups if len(group) == 1) as reachable:
        inner = [_overlay(group, None, None, stage, 0, api) for group in groups if len(group) > 1]
        _attach(tmpfs("0700"), stage)
        try:
            entries: list[Place] = []
            for group in groups:
                if len(group) == 1:
                    entries.append(reachable[group[0]])
                    continue
                place = stage / f"inner{len(entries)}"
                place.mkdir()
                _attach(inner.pop(0), place)
                entries.append(place)
            yield entries
        finally:
            mounts.unmount(stage, detach=True)


@contextlib.contextmanager
def _opened(paths: Iterator[Place]) -> Iterator[dict[Place, Path]]:
    """Give names under /proc/self/fd, which stay valid when something is mounted above them."""
    fds = {path: os.open(path, os.O_PATH | os.O_DIRECTORY) for path in paths}
    try:
        yield {path: Path(f"/proc/self/fd/{fd}") for path, fd in fds.items()}
    finally:
        for fd in fds.values():
            os.close(fd)


def tmpfs(mode: str, **options: str) -> int:
    """Make a detached tmpfs, nosuid and nodev, with a mode in octal for its root."""
    with mounts.Context("tmpfs") as context:
        context.set("mode", mode)
        for key, value in options.items():
            context.set(key, value)
        return context.mount(mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NODEV)


def _attach(mount: int, target: Path) -> None:
    try:
        mounts.move_mount(mount, target)
    finally:
        os.close(mount)


def _overlay(
    lowers: Sequence[Place],
    top: Path | None,
    work: Path | None,
    stage: Path,
    attributes: int,
    api: Api | None,
) -> int:
    if api == "mount2":
        return _old_overlay(lowers, top, work, stage, attributes)
    try:
        return _new_overlay(lowers, top, work, attributes)
    except OSError as error:
        # A kernel without lowerdir+ answers EINVAL; a real fault fails again below.
        if api == "fsmount" or error.errno not in (errno.ENOSYS, errno.EINVAL):
            raise
        first = error
    try:
        return _old_overlay(lowers, top, work, stage, attributes)
    except OSError:
        raise first from None


def _new_overlay(
    lowers: Sequence[Place], top: Path | None, work: Path | None, attributes: int
) -> int:
    with _Names() as names, mounts.Context("overlay") as context:
        for key, value in _OPTIONS.items():
            context.set(key, value)
        for flag in _FLAGS:
            context.set(flag)
        for lower in reversed(lowers):
            context.add_lower(names.of(lower), lower)
        if top is not None and work is not None:
            context.set("upperdir", names.of(top), subject=str(top))
            context.set("workdir", names.of(work), subject=str(work))
            context.set("volatile")
        return context.mount(attributes)


class _Names:
    """Short names for directories, each relative to its parent, which is entered first.

    /proc/mounts inside shows an overlay's names, which must not be the host's paths; they have at
    most 255 bytes; and for hundreds of layers looking up names is faster than paths.
    """

    def __init__(self) -> None:
        self._fds: list[int] = []
        self._back = self._open(b".")
        self._here = b""

    def __enter__(self) -> _Names:
        return self

    def __exit__(self, *_: object) -> None:
        os.fchdir(self._back)
        for fd in self._fds:
            os.close(fd)

    def of(self, path: Place) -> bytes:
        """Return a name that is good until the next one is asked for."""
        parent, slash, name = os.fsencode(path).rpartition(b"/")  # os.path takes three times that
        if parent != self._here:
            os.fchdir(self._back)
            os.chdir(parent or slash or b".")
            self._here = parent
        if name and b"\\" not in name:
            return name
        # The root itself, or a name that overlayfs reads as an escape.
        return b"/proc/self/fd/%d" % self._open(name or b".")

    def _open(self, path: bytes) -> int:
        self._fds.append(os.open(path, os.O_PATH | os.O_DIRECTORY))
        return self._fds[-1]


def _old_overlay(
    lowers: Sequence[Place], top: Path | None, work: Path | None, stage: Path, attributes: int
) -> int:
    """Mount with mount(2) by short symbolic links, as its options have at most 4096 bytes.

    The links lie in a tmpfs on ``stage`` and point to descriptors, so that it hides no layer.
    """
    paths = [*reversed(lowers), *([top, work] if top and work else [])]
    back = os.open(".", os.O_PATH | os.O_DIRECTORY)
    with _opened(iter(paths)) as links:
        _attach(tmpfs("0700"), stage)
        try:
            os.chdir(stage)
            Path("root").mkdir()
            for index, path in enumerate(paths):
                Path(f"{index:x}").symlink_to(links[path])
            names = [f"{index:x}" for index in range(len(paths))]
            options = [*_FLAGS, *(f"{key}={value}" for key, value in _OPTIONS.items())]
            options.append("lowerdir=" + ":".join(names[: len(lowers)]))
            if top is not None:
                options += [f"upperdir={names[-2]}", f"workdir={names[-1]}", "volatile"]
            mounts.mount("overlay", "root", "overlay", 0, ",".join(options))
            fd = mounts.open_tree("root")
            mounts.set_attributes(fd, attributes)
            return fd
        finally:
            os.fchdir(back)
            os.close(back)
            mounts.unmount(stage, detach=True)
