"""What holds for every backend, and what some cannot do by their nature; see root_driver.py."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import worlds
from hypothesis import HealthCheck, Phase, given, settings

from cloche.layers import (
    compare,
    flatten,
    layer_id,
    merged,
)
from cloche.roots import (
    Root,
    backends,
    capture_root,
    open_root,
    own_mounts,
)
from cloche.roots.errors import RootError
from cloche.store import exact_digest, walk
from cloche.store.removal import remove_tree

ORDINARY = False  # whether this is an ordinary user's user namespace
ALL = ("overlay", "overlay-mount2", "reflink", "hardlink", "copy", "fuse-overlayfs")
WRITABLE = tuple(name for name in ALL if name != "hardlink")
NOT_BY_FUSE = ("fifo", "socket", "device", "link", "special mode", "acl", "default acl", "over",
               "replace", "rename")  # fmt: skip
Ground = dict[str, Path]
EXAMPLES = int(os.environ.get("CLOCHE_EXAMPLES", "0"))


@contextlib.contextmanager
def room(directory: Path) -> Iterator[Path]:
    """A directory that is gone afterwards, with what a root needs in it."""
    path = Path(tempfile.mkdtemp(dir=directory))
    try:
        for name in ("at", "upper"):
            (path / name).mkdir()
        yield path
    finally:
        remove_tree(path)


def check_all_that_should_be_there_are(ground: Ground) -> None:
    for name, directory in ground.items():
        found = {backend.name: backend.reason for backend in backends(directory)}
        lacking = {key: reason for key, reason in found.items() if reason}
        assert tuple(found) == ALL
        if name == "plain":
            assert list(lacking) in ([], ["reflink"]), lacking  # whatever /tmp lies on
        else:
            assert lacking == {}, (name, lacking)
        assert list(directory.iterdir()) == []


def check_the_best_is_taken_and_nothing_is_left(ground: Ground) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    with room(ground["plain"]) as path, open_root([layer(path, "low")], path / "at") as root:
        assert root.backend == "overlay"
        assert (root.path / "file").read_text() == "low"
    assert Path("/proc/self/mountinfo").read_text() == before


def layer(path: Path, name: str) -> Path:
    """A layer with a file, and two names for another one."""
    (path / name / "directory").mkdir(parents=True)
    (path / name / "file").write_text(name)
    (path / name / "one").write_text(name)
    (path / name / "two").hardlink_to(path / name / "one")
    return path / name


@contextlib.contextmanager
def opened(path: Path, name: str, writable: bool = True) -> Iterator[Root]:
    lower = path / "low" if (path / "low").exists() else layer(path, "low")
    upper = path / "upper" if writable else None
    with open_root([lower], path / "at", upper=upper, backend=name) as root:
        yield root


def fails(number: int, call: Callable[[], object]) -> None:
    try:
        call()
    except OSError as error:
        assert error.errno == number, error
    else:
        raise AssertionError(f"{errno.errorcode[number]} was expected")


def raises(words: str, call: Callable[[], object]) -> None:
    try:
        call()
    except RootError as error:
        assert words in str(error), error
    else:
        raise AssertionError(f"not refused: {words}")


def there(ground: Ground, writable: bool = True) -> Iterator[tuple[str, Path]]:
    """Each backend, and a room where it can be had."""
    for name in WRITABLE if writable else ALL:
        with room(ground["btrfs" if name == "reflink" else "plain"]) as path:
            yield name, path


def check_a_root_without_upper_is_read_only(ground: Ground) -> None:
    for name, path in there(ground, writable=False):
        with opened(path, name, writable=False) as root:
            fails(errno.EROFS, (root.path / "new").touch)
            fails(errno.EROFS, lambda: (root.path / "file").write_text("x"))
            fails(errno.EROFS, lambda: (root.path / "file").chmod(0o600))
            raises("nothing to capture", lambda: capture_root(root, path / "layer"))


def check_hard_links_are_never_writable(ground: Ground) -> None:
    with room(ground["plain"]) as path:
        raises("cannot be writable", lambda: opened(path, "hardlink").__enter__())
        assert (path / "low/file").stat().st_nlink == 1


def check_reflinks_take_no_room_and_are_refused_elsewhere(ground: Ground) -> None:
    for name in ("xfs", "btrfs"):
        with room(ground[name]) as path:
            (layer(path, "low") / "large").write_bytes(os.urandom(1 << 24))
            os.sync()
            before = os.statvfs(path).f_bavail * os.statvfs(path).f_frsize
            with opened(path, "reflink"):
                os.sync()
                taken = before - os.statvfs(path).f_bavail * os.statvfs(path).f_frsize
                assert taken < 1 << 22, (name, taken)
            with room(ground["plain"]) as other:
                raises(
                    "use another backend",
                    lambda: open_root([path / "low"], other / "at", backend="reflink").__enter__(),
                )
                assert os.listdir(other / "at") == []


def check_holes_stay_holes(ground: Ground) -> None:
    for name, path in there(ground):
        (path / "low").mkdir()
        with (path / "low/sparse").open("wb") as file:
            file.truncate(1 << 26)  # bytes
        with opened(path, name) as root:
            (root.path / "sparse").chmod(0o600)  # copies it up
            capture_root(root, path / "layer")
        info = (path / "layer/sparse").stat()
        assert info.st_size == 1 << 26
        assert (info.st_blocks * 512 < 1 << 20) == (name != "fuse-overlayfs"), name


def check_what_overlays_cannot_do_by_their_nature(ground: Ground) -> None:
    for name, path in there(ground):
        with opened(path, name) as root:
            rename = lambda: (root.path / "directory").rename(root.path / "moved")  # noqa: E731
            if "overlay" in name:
                fails(errno.EXDEV, rename)
            else:
                rename()
            if name == "fuse-overlayfs":
                continue  # it may write to either of the names
            (root.path / "one").write_text("new")
            two = "low" if "overlay" in name else "new"
            assert (root.path / "two").read_text() == two, name
            capture_root(root, path / "layer")
            assert (path / "layer/two").exists() == (two == "new"), name


def check_what_fuse_overlayfs_gets_wrong(ground: Ground) -> None:
    """When one of these fails, a new version does it right: see cloche.roots.fuse_overlay."""
    with room(ground["plain"]) as path:
        (layer(path, "low") / "directory").chmod(0o2755)
        with opened(path, "fuse-overlayfs") as root:
            (root.path / "directory/file").touch()
            assert (root.path / "directory").stat().st_mode & 0o7777 == 0o755
            fails(errno.ENAMETOOLONG, (root.path / ("n" * 252)).touch)


def check_devices_are_for_root(ground: Ground) -> None:
    for name, path in there(ground):
        with opened(path, name) as root:
            make = lambda: os.mknod(root.path / "null", 0o020666, worlds.DEVICE)  # noqa: E731
            if ORDINARY:
                fails(errno.EPERM, make)
                continue
            make()
            capture_root(root, path / "layer")
            assert (path / "layer/null").stat().st_rdev == worlds.DEVICE, name


def check_a_root_in_use_is_not_captured(ground: Ground) -> None:
    for name in ("overlay", "overlay-mount2", "fuse-overlayfs"):
        with room(ground["plain"]) as path, opened(path, name) as root:
            with (root.path / "open").open("w") as file:
                raises("still in use", lambda: capture_root(root, path / "layer"))
                file.write("written later")
            capture_root(root, path / "layer")
            assert (path / "layer/open").read_text() == "written later"


def check_a_killed_process_leaves_no_mount_and_no_process(ground: Ground) -> None:
    for name in ("overlay", "overlay-mount2", "fuse-overlayfs"):
        with room(ground["plain"]) as path:
            child = os.fork()
            if child == 0:
                own_mounts()
                with opened(path, name) as root:
                    (root.path / "ready").touch()
                    signal.pause()
            while not (path / "upper/top/ready").exists():
                time.sleep(0.01)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            end = time.monotonic() + 10
            while programs(path) and time.monotonic() < end:
                time.sleep(0.01)
            assert programs(path) == []
            assert os.listdir(path / "at") == []


def programs(path: Path) -> list[str]:
    """Processes whose arguments name a directory."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if os.fsencode(path) in file.read_bytes():
                found.append(file.parent.name)
    return found


def check_same_trees_and_same_layers(ground: Ground) -> None:
    _agree(ground["plain"], ("overlay", "overlay-mount2", "hardlink", "copy"), 40)


def check_same_by_fuse_overlayfs(ground: Ground) -> None:
    """What its version 1.10 gets right; see cloche.roots.fuse_overlay for the rest."""
    _agree(ground["plain"], ("overlay", "fuse-overlayfs"), 12, without=NOT_BY_FUSE, longest=251)


def check_same_on_xfs(ground: Ground) -> None:
    _agree(ground["xfs"], ("overlay", "reflink", "hardlink"), 10)


def check_same_on_btrfs(ground: Ground) -> None:
    _agree(ground["btrfs"], ("overlay", "reflink", "hardlink"), 10)


def _agree(
    directory: Path,
    names: Sequence[str],
    number: int,
    without: Sequence[str] = (),
    longest: int = 255,
) -> None:
    left_out = (*without, "device") if ORDINARY else without

    @settings(
        max_examples=EXAMPLES or number,
        derandomize=not EXAMPLES,  # the same examples at every run, unless more are asked for
        database=None,
        deadline=None,
        phases=[Phase.generate, *([Phase.shrink] if EXAMPLES else [])],
        suppress_health_check=list(HealthCheck),
    )
    @given(world=worlds.worlds(left_out, longest))
    def run(world: tuple[list[list[worlds.Draw]], list[worlds.Draw]]) -> None:
        with room(directory) as path:
            agree(path, names, *world)

    run()


def agree(
    path: Path,
    names: Sequence[str],
    layers: list[list[worlds.Draw]],
    draws: list[worlds.Draw],
) -> None:
    """Do the same in a plain directory and in a root by each backend; nothing may differ."""
    lowers = worlds.build(path, layers)
    before = [exact_digest(walk(lower)) for lower in lowers]
    model = path / "model"
    flatten(lowers, model, link=False)
    for name in names:
        with open_root(lowers, path / "at", backend=name) as root:
            same(root.path, model, f"read-only by {name}")
    deeds = list(in_model(model, draws))
    ids = set()
    for name in names:
        if name == "hardlink":
            continue
        with open_root(lowers, path / "at", upper=path / "upper", backend=name) as root:
            for deed, outcome in deeds:
                found = tried(os.fsencode(root.path), deed)
                assert found == outcome, f"{name}: {deed}: {found}, not {outcome}"
            same(root.path, model, f"written by {name}")
            layer = path / f"by-{name}"
            capture_root(root, layer)
        found = compare([*lowers, layer], model)
        assert found.equal, f"captured by {name}\n{found.text()}"
        marks = [entry for entry in walk(layer) if b"user.overlay.opaque" in dict(entry.xattrs)]
        assert marks == []
        ids.add(layer_id(layer, {}))
        assert len(ids) == 1, f"{name} gives another layer"
        assert os.listdir(path / "at") == os.listdir(path / "upper") == []
    assert [exact_digest(walk(lower)) for lower in lowers] == before


def same(shown: Path, model: Path, what: str) -> None:
    """The same in all, and the same times of whatever is no directory."""
    found = compare(shown, model)
    assert found.equal, f"{what}\n{found.text()}"
    times = [
        {
            entry.path: entry.mtime_ns
            for entry in walk(tree, content=False)
            if entry.type != "directory"
        }
        for tree in (shown, model)
    ]
    assert times[0] == times[1], what


def in_model(model: Path, draws: list[worlds.Draw]) -> Iterator[tuple[worlds.Step, str | None]]:
    """Do it in the plain directory; give what was done, and the error it ended in.

    What overlays cannot do by their nature is left out (see cloche.roots.kernel_overlay): to
    change a file of the lowers that has several names under all of them, and to show at once that
    something of the lowers that is no regular file has got a second name.
    """
    others = [entry for entry in walk(model, content=False) if entry.type != "directory"]
    shared = {entry.inode for entry in others if entry.names > 1}
    special = {entry.inode for entry in others if entry.type != "file"}
    for number, draw in enumerate(draws):
        step = worlds.resolve(draw, list(merged([model]).walk()), 1000 + number)
        place = os.path.join(os.fsencode(model), step.path)
        if step.kind in worlds.IN_PLACE and _holds(place, shared, step.kind == "rename"):
            continue
        if step.kind == "link" and os.path.lexists(place) and _inode(os.lstat(place)) in special:
            continue
        yield step, tried(os.fsencode(model), step)


def _holds(place: bytes, shared: set[tuple[int, int]], below: bool) -> bool:
    """Whether one of these inodes is there or below, and still has several names."""
    try:
        infos = [os.lstat(place)]
    except OSError:
        return False
    if below and stat.S_ISDIR(infos[0].st_mode):
        for directory, _, files in os.walk(place):
            infos += [os.lstat(os.path.join(directory, file)) for file in files]
    return any(_inode(info) in shared and info.st_nlink > 1 for info in infos)


def _inode(info: os.stat_result) -> tuple[int, int]:
    return info.st_dev, info.st_ino


def tried(root: bytes, step: worlds.Step) -> str | None:
    """The name of the error that something ends in, or None."""
    try:
        worlds.perform(root, step)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return None
