"""Stacks of layers and operations on a root, drawn by Hypothesis and carried out by name (bytes).

What is made has time stamps of its own, so that times can be compared as well.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import struct
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from cloche.layers import Node, merged
from cloche.store.tree import OPAQUE, read_xattrs

COMMON = [b"a", b"b", b"c"]
ODD = [b"new\nline", b"\xff\xfe\x80", b"n" * 255, b" ", b"\\", "ü:,=".encode(), b"-rf"]
TARGETS = [b"a", b"b/c", b"nowhere", b"\xff\n"]
OWNERS = [(0, 0), (250, 250), (1000, 65534)]
MODES = [0o644, 0o700, 0o555, 0o000]
SPECIAL_MODES = [0o4755, 0o2755, 0o1777, 0o6711]
DEVICE = os.makedev(1, 3)
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0)  # v2, effective: net_bind_service
SPARSE = 1 << 22  # bytes


def acl(user: int, permissions: int) -> bytes:
    """An ACL with one named user: struct posix_acl_xattr_header and its entries."""
    nobody = 0xFFFFFFFF
    entries = [(1, 7, nobody), (2, permissions, user), (4, 5, nobody), (16, 7, nobody),
               (32, 5, nobody)]  # fmt: skip
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def furnish(tree: Path) -> None:
    """Put at least one of whatever a root can hold into a tree, as root."""
    (tree / "bin").mkdir(parents=True, exist_ok=True)
    (tree / "bin/su").write_text("su")
    (tree / "bin/su").chmod(0o4711)
    os.setxattr(tree / "bin/su", "security.capability", CAPABILITY)
    (tree / "bin/other").hardlink_to(tree / "bin/su")
    (tree / "srv").mkdir()
    (tree / "srv/acl").write_text("")
    os.chown(tree / "srv/acl", 250, 250)
    os.setxattr(tree / "srv/acl", "user.note", b"\0=\n\xff")
    os.setxattr(tree / "srv/acl", "system.posix_acl_access", acl(250, 6))
    os.setxattr(tree / "srv", "system.posix_acl_default", acl(251, 7))
    (tree / "odd \n").write_text("x")
    (tree / "link").symlink_to("bin/su")
    os.mkfifo(tree / "fifo")
    (tree / "sparse").write_text("")
    os.truncate(tree / "sparse", 3 << 20)
    (tree / "var/empty").mkdir(parents=True)
    os.chown(tree / "var/empty", 123, 456)


XATTRS = {
    "xattr": ("user.key", b"value"),
    "empty xattr": ("user.key", b""),
    "capability": ("security.capability", CAPABILITY),
    "acl": ("system.posix_acl_access", acl(250, 6)),
    "default acl": ("system.posix_acl_default", acl(251, 7)),
}


@dataclass(frozen=True)
class Draw:
    """What Hypothesis draws: a kind, and numbers that choose among the names there are by then."""

    kind: str
    name: bytes
    one: int
    two: int

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name[:20]!r} {self.one} {self.two}>"


@dataclass(frozen=True)
class Step:
    """One thing made in a layer, or done in a root; ``number`` makes its content and time."""

    kind: str
    path: bytes
    other: bytes
    choice: int
    number: int


MAKES = ["file", "file", "directory", "directory", "symlink", "fifo", "socket", "sparse", "deep"]
MAKES += ["device"]
CHANGES = ["link", "link", "chmod", "special mode", "chown", *XATTRS]
HIDES = ["opaque", "opaque", "whiteout", "whiteout", "over"]
DEEDS = ["write", "append", "replace", "replace", "unlink", "unlink", "rmdir", "rmtree", "renew",
         "rename", "rename", "no xattr", "over", "whole"]  # fmt: skip


def draws(kinds: list[str], most: int, longest: int) -> st.SearchStrategy[list[Draw]]:
    numbers = st.integers(0, 11)
    odd = [name for name in ODD if len(name) <= longest]
    names = st.one_of(st.sampled_from(COMMON), st.sampled_from(COMMON), st.sampled_from(odd))
    return st.lists(st.builds(Draw, st.sampled_from(kinds), names, numbers, numbers), max_size=most)


@st.composite
def worlds(
    draw: st.DrawFn, without: Collection[str] = (), longest: int = 255
) -> tuple[list[list[Draw]], list[Draw]]:
    """Layers, the bottom first, and what is done in the root of them.

    The kinds ``without`` stay out, and names of more than ``longest`` bytes.
    """
    made = [kind for kind in (*MAKES, *CHANGES) if kind not in without]
    done = [kind for kind in (*made, *DEEDS) if kind not in without]
    layers = [draw(draws(made, 12, longest))]
    layers += draw(st.lists(draws([*made, *HIDES, *HIDES], 8, longest), max_size=2))
    return layers, draw(draws(done, 10, longest))


def resolve(draw: Draw, names: list[Node], number: int) -> Step:
    """Choose places among the names of a tree, its root first: where to make, what to change."""
    directories = [node.path for node in names if node.is_directory]
    others = [node.path for node in names[1:]] or [b"nothing"]

    def new(choice: int) -> bytes:
        return os.path.join(directories[choice % len(directories)], draw.name)

    if draw.kind in MAKES:
        return Step(draw.kind, new(draw.one), b"", draw.two, number)
    other = others[draw.two % len(others)] if draw.two % 3 == 0 else new(draw.two)
    return Step(draw.kind, others[draw.one % len(others)], other, draw.two, number)


def build(directory: Path, layers: list[list[Draw]]) -> list[Path]:
    """Make the layers, as overlayfs could have left them; what cannot be made is left out."""
    stack: list[Path] = []
    for level, layer in enumerate(layers):
        root = directory / f"layer{level}"
        root.mkdir()
        os.setxattr(root, "user.level", b"%d" % level)  # a root's own attributes count as well
        os.chown(root, 250, level)
        root.chmod(0o751)
        for index, draw in enumerate(layer):
            own = draw.kind in CHANGES  # of what this layer has itself
            names = list(merged([root] if own else [*stack, root]).walk())
            step = resolve(draw, names, 100 * level + index)
            with contextlib.suppress(OSError):
                _put(os.fsencode(root), step)
        _without_vain_whiteouts(root, stack)
        stack.append(root)
    return stack


def _put(root: bytes, step: Step) -> None:
    place = os.path.join(root, step.path)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    if step.kind == "whiteout":
        os.mknod(place, stat.S_IFCHR, 0)
    elif step.kind == "opaque":
        os.makedirs(place, exist_ok=True)
        os.setxattr(place, OPAQUE, b"y", follow_symlinks=False)
    else:
        perform(root, step)


def _without_vain_whiteouts(root: Path, below: list[Path]) -> None:
    """Take out whiteouts that hide nothing, which the kernel lists where it need not merge."""
    view = merged(below)
    for directory, _, files in os.walk(os.fsencode(root)):
        path = os.path.relpath(directory, os.fsencode(root))
        opaque = any(
            dict(read_xattrs(os.path.join(os.fsencode(root), part))).get(OPAQUE)
            for part in _upwards(path)
        )
        for name in files:
            place = os.path.join(directory, name)
            info = os.lstat(place)
            if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
                hidden = view.lookup(os.path.normpath(os.path.join(path, name)))
                if opaque or hidden is None:
                    os.unlink(place)


def _upwards(path: bytes) -> Iterator[bytes]:
    while path and path != b".":
        yield path
        path = os.path.dirname(path)


def perform(root: bytes, step: Step) -> None:
    """Do one thing in a tree; raises OSError. Symbolic links are not followed at the end."""
    place, other = os.path.join(root, step.path), os.path.join(root, step.other)
    made = False
    if step.kind in XATTRS:
        if stat.S_ISLNK(os.lstat(place).st_mode):
            raise OSError(errno.EPERM, "links have no attributes that last everywhere")
        os.setxattr(place, *XATTRS[step.kind], follow_symlinks=False)
    elif step.kind in _CHANGES:
        _CHANGES[step.kind](place, other, step)
    else:
        _MAKES[step.kind](place, other, step)
        made = True
    if made and not stat.S_ISDIR(os.lstat(place).st_mode):
        os.utime(place, ns=(5, 10**18 + step.number * 10**9 + step.number), follow_symlinks=False)


def _write(place: bytes, flags: int, content: bytes, at: int = 0) -> None:
    if os.path.lexists(place) and not stat.S_ISREG(os.lstat(place).st_mode):
        raise OSError(errno.EINVAL, "only regular files are written to")
    flags |= os.O_WRONLY | os.O_NOFOLLOW
    fd = os.open(place, flags, 0o644)
    try:
        os.pwrite(fd, content, at) if at else os.write(fd, content)
    finally:
        os.close(fd)


def _content(step: Step) -> bytes:
    return b"%s %d\n" % (step.path, step.number) * (1 + 1000 * (step.choice == 11))


def _deep(place: bytes, other: bytes, step: Step) -> None:
    inner = os.path.join(place, *[b"deep" * 20] * 12)
    os.makedirs(inner)
    _write(inner + b"/file", os.O_CREAT, _content(step))
    os.utime(inner + b"/file", (step.number, step.number))


def _replace(place: bytes, other: bytes, step: Step) -> None:
    """Write beside it and rename over it, as install(1) and Portage do."""
    beside = place[:-1] + b"%" if len(os.path.basename(place)) > 250 else place + b"%"
    _write(beside, os.O_CREAT, _content(step))
    try:
        os.rename(beside, place)
    except OSError:
        os.unlink(beside)
        raise


def _rmtree(place: bytes) -> None:
    if not stat.S_ISDIR(os.lstat(place).st_mode):  # shutil would wait for a FIFO's other end
        raise NotADirectoryError(errno.ENOTDIR, "no directory")
    shutil.rmtree(place)


def _over(place: bytes, other: bytes, step: Step) -> None:
    """A file over a directory, or a directory over anything else."""
    if stat.S_ISDIR(os.lstat(place).st_mode):
        _rmtree(place)
        _write(place, os.O_CREAT, _content(step))
    else:
        os.unlink(place)
        os.mkdir(place)


def _chmod(place: bytes, other: bytes, step: Step) -> None:
    if stat.S_ISLNK(os.lstat(place).st_mode):
        raise OSError(errno.EOPNOTSUPP, "links have no modes")
    modes = MODES if step.kind == "chmod" else SPECIAL_MODES
    os.chmod(place, modes[step.choice % len(modes)])


def _renew(place: bytes, other: bytes, step: Step) -> None:
    """A directory made again, with something else in it."""
    _rmtree(place)
    os.mkdir(place)
    _write(place + b"/renewed", os.O_CREAT, _content(step))
    os.utime(place + b"/renewed", (step.number, step.number))


def _rename(place: bytes, other: bytes, step: Step) -> None:
    try:
        os.rename(place, other)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _move(place, other)


def _move(place: bytes, other: bytes) -> None:
    """As mv(1), where a directory cannot be renamed: a new one, and the names one by one."""
    if os.path.lexists(other):
        os.rmdir(other)
    info, xattrs = os.stat(place), read_xattrs(place)
    os.mkdir(other)
    for name in os.listdir(place):
        _rename(place + b"/" + name, other + b"/" + name, Step("", b"", b"", 0, 0))
    os.chown(other, info.st_uid, info.st_gid)
    for name, _ in read_xattrs(other):
        os.removexattr(other, name)
    os.chmod(other, stat.S_IMODE(info.st_mode))
    for name, value in xattrs:
        if name != OPAQUE:
            os.setxattr(other, name, value)
    os.rmdir(place)


def _no_xattrs(place: bytes, other: bytes, step: Step) -> None:
    os.lstat(place)
    for name, _ in read_xattrs(place):
        os.removexattr(place, name, follow_symlinks=False)


def _whole(place: bytes, other: bytes, step: Step) -> None:
    """Delete all that the root has."""
    root = place.removesuffix(step.path).rstrip(b"/")
    for name in os.listdir(root):
        if os.path.islink(root + b"/" + name) or not os.path.isdir(root + b"/" + name):
            os.unlink(root + b"/" + name)
        else:
            shutil.rmtree(root + b"/" + name)


Deed = Callable[[bytes, bytes, Step], object]
_MAKES: dict[str, Deed] = {
    "file": lambda p, o, s: _write(p, os.O_CREAT | os.O_EXCL, _content(s)),
    "write": lambda p, o, s: _write(p, os.O_TRUNC, _content(s)),
    "append": lambda p, o, s: _write(p, os.O_APPEND, _content(s)),
    "sparse": lambda p, o, s: _write(p, os.O_CREAT, _content(s), SPARSE),
    "replace": _replace,
    "over": _over,
    "symlink": lambda p, o, s: os.symlink(TARGETS[s.choice % len(TARGETS)], p),
    "fifo": lambda p, o, s: os.mkfifo(p),
    "socket": lambda p, o, s: os.mknod(p, stat.S_IFSOCK | 0o644),
    "device": lambda p, o, s: os.mknod(p, stat.S_IFCHR | 0o666, DEVICE),
}
_CHANGES: dict[str, Deed] = {
    "directory": lambda p, o, s: os.mkdir(p),
    "deep": _deep,
    "link": lambda p, o, s: os.link(p, o, follow_symlinks=False),
    "chmod": _chmod,
    "special mode": _chmod,
    "chown": lambda p, o, s: os.lchown(p, *OWNERS[s.choice % len(OWNERS)]),
    "no xattr": _no_xattrs,
    "unlink": lambda p, o, s: os.unlink(p),
    "rmdir": lambda p, o, s: os.rmdir(p),
    "rmtree": lambda p, o, s: _rmtree(p),
    "renew": _renew,
    "rename": _rename,
    "whole": _whole,
}
"""What leaves times alone, or names the times itself."""
IN_PLACE = {
    "write",
    "append",
    "sparse",
    "chmod",
    "special mode",
    "chown",
    "no xattr",
    "link",
    "rename",
    *XATTRS,
}
"""What changes or moves an inode under one of its names."""
