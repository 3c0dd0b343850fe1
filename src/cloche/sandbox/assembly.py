"""Assembles a sandbox's root: overlay, /dev, /proc, temporary file systems, binds, pivot.

Runs in the first process of a sandbox, in its own mount namespace. Everything from the host is
opened as a detached mount before the root is entered and attached afterwards, so that no symbolic
link in an untrusted root can lead out of it. Mount points are made in a tmpfs that is the lowest
layer, and so never show up in what a step writes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cloche.layers.copying import give_attributes
from cloche.layers.merge import Node
from cloche.linux import mounts, processes
from cloche.linux.paths import make_plain
from cloche.roots import overlay
from cloche.sandbox import emulation, proc
from cloche.sandbox.base import Bind, Sandbox
from cloche.sandbox.errors import SandboxError

# Covered by a private tmpfs until the pivot; no layer and no bind can lie there.
_STAGE = Path("/sys")
# The same without a pivot, where a tool enters the root, which may need the rest of /sys.
KEPT_STAGE = Path("/sys/bus")

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
_OWN = {"/dev": "0755", "/tmp": "1777", "/run": "0755", "/dev/shm": "1777"}  # noqa: S108
_TREES = ("/dev", "/proc")
_COVERED = ("dev", "proc", "run", "tmp")
_INNER = ("/dev/", "/run/", "/tmp/")  # noqa: S108
_STICKY = {"/tmp", "/var/tmp", "/dev/shm"}  # noqa: S108


@dataclass(frozen=True, slots=True)
class Mount:
    """A detached mount, and where it goes."""

    target: str
    fd: int
    directory: bool

    @property
    def depth(self) -> int:
        """How deep its target lies: mounts are made from the top down."""
        return len(PurePosixPath(self.target).parts)


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """Turn an OSError into a SandboxError that says what was being done."""
    try:
        yield
    except OSError as error:
        text = f"{error.strerror} ({error.filename})" if error.filename else str(error.strerror)
        raise SandboxError(name, text, error.errno or 0) from error


def common_mounts() -> list[Mount]:
    """Make the mounts that every sandbox has, detached."""
    mounted = [_temporary(path, mode) for path, mode in _OWN.items()]
    mounted.append(Mount("/dev/pts", _devpts(), True))
    with step("making /proc"):
        mounted.append(Mount("/proc", proc.mount(), True))
    return mounted + [_device(name) for name in _DEVICES]


def ready_mounts() -> list[Mount]:
    """Make the same mounts, with /dev and /proc as whole trees, so that less is left to do later.

    They are assembled in a temporary mount namespace, so that what the host mounts until the
    request stays visible.
    """
    loose: list[Mount] = []
    with step("putting /dev and /proc together"), _apart():
        made = sorted(common_mounts(), key=lambda mount: mount.depth)
        stage = overlay.tmpfs("0755")
        mounts.move_mount(stage, _STAGE)
        os.close(stage)
        with entered(_STAGE):
            for mount in made:
                if not mount.target.startswith(_TREES) or mount.target in _OWN.keys() - {"/dev"}:
                    loose.append(mount)
                    continue
                place = Path(mount.target)
                if mount.directory:
                    place.mkdir()
                else:
                    place.touch()
                mounts.move_mount(mount.fd, place)
                os.close(mount.fd)
            _finish_dev()
            with step("restricting /proc"):
                proc.restrict()
            trees = [Mount(tree, mounts.open_tree(tree, recursive=True), True) for tree in _TREES]
    return [*trees, *loose]


@contextlib.contextmanager
def _apart() -> Iterator[None]:
    """Enter a copy of the mount namespace for the block."""
    root, here = (os.open(path, os.O_PATH | os.O_DIRECTORY) for path in ("/", "."))
    namespace = os.open("/proc/self/ns/mnt", os.O_RDONLY)

    def back() -> None:
        processes.setns(namespace, processes.CLONE_NEWNS)
        os.fchdir(root)  # as setns(2) leads to the namespace's own root
        os.chroot(".")
        os.fchdir(here)

    try:
        back()  # if it would fail at the end, it fails now, before anything is done
        processes.unshare(processes.CLONE_NEWNS)
        mounts.make_private()
        yield
        back()
    finally:
        for fd in (root, here, namespace):
            os.close(fd)


def assemble(sandbox: Sandbox, ready: list[Mount], composed: Path | None = None) -> None:
    """Build the root that ``sandbox`` describes and make it this process's root.

    ``ready`` comes from `ready_mounts`; ``composed`` is an existing root that has all mount points.
    """
    with step("making the mount namespace private"):
        mounts.make_private()
    detached = _detached_mounts(sandbox, ready)
    with step("entering the root"):
        root = _root(sandbox, detached, _STAGE) if composed is None else _composed(composed)
        mounts.enter_root(root)
        os.close(root)
    _attach(sandbox, detached)


def _composed(path: Path) -> int:
    root = mounts.open_tree(path)
    mounts.set_attributes(root, mounts.MOUNT_ATTR_NODEV)
    mounts.move_mount(root, _STAGE)
    return root


def assemble_apart(
    sandbox: Sandbox, common: list[Mount], places: Sequence[str], files: Sequence[str] = ()
) -> Path:
    """Build the same root at a directory, for a tool to enter; return the directory.

    Call it in a private mount namespace. ``common`` are mounts besides the sandbox's; on the
    directories ``places`` and the ``files`` the tool itself mounts something.
    """
    detached = _detached_mounts(sandbox, common)
    with step("making the root"):
        os.close(_root(sandbox, detached, KEPT_STAGE, places, files))
    root = KEPT_STAGE / "root"
    with entered(root):
        _attach(sandbox, detached)
        if any(mount.target == "/dev/pts" for mount in detached):  # a /dev of the sandbox's own
            _finish_dev()
    return root


@contextlib.contextmanager
def entered(root: Path) -> Iterator[None]:
    """Make ``root`` this process's root for the block: names are looked up as in the sandbox."""
    back, here = (os.open(path, os.O_PATH | os.O_DIRECTORY) for path in ("/", "."))
    try:
        os.chroot(root)
        os.chdir("/")
        yield
    finally:
        os.fchdir(back)
        os.chroot(".")
        os.fchdir(here)
        os.close(back)
        os.close(here)


def _detached_mounts(sandbox: Sandbox, common: list[Mount]) -> list[Mount]:
    """All mounts but the root, detached, in the order in which they are attached."""
    more = [path for path in sandbox.tmpfs if path not in _OWN]
    detached = [_limited(mount, sandbox.limits.temporary) for mount in common]
    detached += [_temporary(path, "1777" if path in _STICKY else "0755") for path in more]
    detached += [_bind(bind) for bind in sandbox.binds]
    detached += [_bind(emulation.bind(each)) for each in sandbox.emulators]
    return sorted(detached, key=lambda mount: mount.depth)


def _attach(sandbox: Sandbox, detached: list[Mount]) -> None:
    """Attach the mounts in this process's root."""
    own = _OwnFileSystems({*_OWN, *sandbox.tmpfs})
    for mount in detached:
        with step(f"mounting {mount.target}"):
            own.make_mount_point(mount)
            mounts.move_mount(mount.fd, mount.target)
            os.close(mount.fd)


def _root(
    sandbox: Sandbox,
    detached: list[Mount],
    place: Path,
    directories: Sequence[str] = (),
    files: Sequence[str] = (),
) -> int:
    """Compose the overlay at ``place``; return its mount, attached to ``root`` there."""
    mounts.move_mount(stage := overlay.tmpfs("0755"), place)
    os.close(stage)
    skeleton, inner, target = (place / name for name in ("skeleton", "inner", "root"))
    for directory in (skeleton, inner, target):
        directory.mkdir()
    for name in directories:
        (skeleton / name.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for name in files:
        (file := skeleton / name.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    _make_mount_points(skeleton, detached)
    model = Path(sandbox.lowers[-1])
    cover = _cover_of(place, skeleton, model)
    top = work = None
    if sandbox.upper is not None:
        top, work = _writable(sandbox.upper, model)
    fd = overlay.compose(
        (skeleton, *sandbox.lowers, *cover),
        top=top,
        work=work,
        stage=inner,
        attributes=mounts.MOUNT_ATTR_NODEV,
    )
    mounts.move_mount(fd, target)
    return fd


def _writable(upper: Path, model: Path) -> tuple[Path, Path]:
    """Make ``top`` and an unused ``work``. The root directory looks like that of the top layer."""
    top, work = upper / "top", upper / "work"
    if not top.exists():
        top.mkdir()
        make_plain(top)
        give_attributes(Node(b"", os.fsencode(model), model.lstat()), os.fsencode(top))
    if work.exists():  # an earlier volatile mount has marked it as used
        shutil.rmtree(work)
    work.mkdir()
    make_plain(work)
    return top, work


def _cover_of(place: Path, skeleton: Path, model: Path) -> tuple[Path, ...]:
    """Make a layer that ends the search for a mount point at once, instead of in every layer.

    What layers have there is not seen anyhow. Empty where tmpfs has no such marks (before 6.6).
    """
    cover = place / "cover"
    names = [name for name in _COVERED if (skeleton / name).exists()]
    try:
        for name in names:
            (cover / name).mkdir(parents=True)
            os.setxattr(cover / name, "user.overlay.opaque", b"y")
    except OSError:
        return ()
    return (_like(cover, model),) if names else ()


def _like(directory: Path, model: Path) -> Path:
    state = model.stat()
    os.chown(directory, state.st_uid, state.st_gid)
    directory.chmod(stat.S_IMODE(state.st_mode))
    return directory


def _make_mount_points(skeleton: Path, detached: list[Mount]) -> None:
    for mount in detached:
        if mount.target.startswith(_INNER):
            continue  # in a file system that is not the root's
        place = skeleton / mount.target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if mount.directory:
            place.mkdir(exist_ok=True)
        else:
            place.touch()


class _OwnFileSystems:
    """The file systems that belong to this sandbox, where mount points may be made."""

    def __init__(self, targets: set[str]) -> None:
        self._targets = targets
        self._devices: set[int] = set()

    def make_mount_point(self, mount: Mount) -> None:
        """Make the mount point if it lies in a tmpfs of ours."""
        path = Path(mount.target)
        if not path.exists():
            ancestor = path
            while not ancestor.exists():
                ancestor = ancestor.parent
            if ancestor.stat().st_dev not in self._devices:
                raise FileNotFoundError(2, "there is no mount point", mount.target)
            path.parent.mkdir(parents=True, exist_ok=True)
            if mount.directory:
                path.mkdir()
            else:
                path.touch()
        if mount.target in self._targets:
            self._devices.add(os.fstat(mount.fd).st_dev)


def _limited(mount: Mount, size: int | None) -> Mount:
    """The mount; a new one of this size in the place of one that is the sandbox's own."""
    if size is None or mount.target not in _OWN.keys() - {"/dev"}:
        return mount
    os.close(mount.fd)
    return _temporary(mount.target, _OWN[mount.target], size)


def _temporary(target: str, mode: str, size: int | None = None) -> Mount:
    with step(f"making a tmpfs for {target}"):
        options = {"size": "1m", "nr_inodes": "4096"} if target == "/dev" else {}
        if size is not None:
            options = {"size": str(size), "nr_inodes": str(max(1024, size >> 12))}
        return Mount(target, overlay.tmpfs(mode, **options), True)


def _devpts() -> int:
    with step("making /dev/pts"), mounts.Context("devpts") as context:
        context.set("newinstance")
        for key, value in (("ptmxmode", "0666"), ("mode", "0620"), ("gid", "5")):
            context.set(key, value)
        return context.mount(mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NOEXEC)


def _device(name: str) -> Mount:
    """Show a device of the host: in a user namespace none can be made.

    Read-only concerns the node, which is the host's own: a `chmod` of it must not reach the host.
    """
    with step(f"opening the host's /dev/{name}"):
        fd = mounts.open_tree(f"/dev/{name}")
        mounts.set_attributes(
            fd, mounts.MOUNT_ATTR_RDONLY | mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NOEXEC
        )
        return Mount(f"/dev/{name}", fd, False)


def _bind(bind: Bind) -> Mount:
    attributes = mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NODEV
    if not bind.writable:
        attributes |= mounts.MOUNT_ATTR_RDONLY
    with step(f"binding {bind.source} to {bind.target}"):
        fd = mounts.open_tree(bind.source)
        mounts.set_attributes(fd, attributes)
        return Mount(bind.target, fd, stat.S_ISDIR(os.fstat(fd).st_mode))


def _finish_dev() -> None:
    with step("filling /dev"):
        for name, target in _LINKS.items():
            Path(f"/dev/{name}").symlink_to(target)
