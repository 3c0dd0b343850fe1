"""From a stack of layers to the first command that runs in it."""

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.place import Place, say
from bench.table import Aim, Row, median_row
from cloche.layers import (
    Layer,
    commit,
)
from cloche.roots import unions
from cloche.sandbox.base import Command, Sandbox
from cloche.sandbox.native import NativeEngine
from cloche.store import Store
from cloche.tasks.guestcall import ENVIRONMENT
from cloche.tasks.task import ROOT as OWN_ROOT

AIMS: Mapping[int, float] = {10: 10, 100: 12, 300: 10, 500: 10, 1000: 60}  # layers: milliseconds
BESIDE = 300  # layers at which a start is held against bubblewrap's
ABOVE = 3  # milliseconds that it may take more
WARM = 3  # rounds before the first that counts
PAUSE = 0.03  # seconds before each start, of every kind: builds start one now and then
TRUE = Command(("/bin/true",), ENVIRONMENT)


def tiny_layers(place: Place, number: int) -> list[Path]:
    """Make layers of one file each, laid out as a package's."""
    layers = []
    for n in range(number):
        layer = place.directory / "tiny" / f"{n:04}"
        entry = layer / f"var/db/pkg/app-misc/tiny-{n}"
        entry.mkdir(parents=True)
        (entry / "CONTENTS").write_text("")
        share = layer / f"usr/share/tiny-{n}"
        share.mkdir(parents=True)
        (share / "file").write_text(f"{n}\n")
        layers.append(layer)
    return layers


def stored(place: Place, store: Store, number: int) -> list[Layer]:
    """The same layers in a store."""
    layers = []
    for tree in tiny_layers(place, number):
        with store.workspace("tiny") as room:
            tree.rename(room / "tree")
            layers.append(commit(store, room / "tree", kind="package", label=tree.name))
    place.removed(place.directory / "tiny")
    return layers


@dataclass(frozen=True, slots=True)
class Composed:
    """A root as builds compose it: ``bottom``, and over it some layers, of which these are first.

    ``beside``: these layers are a root of its own, beside the seed at the bottom.
    """

    what: str
    bottom: tuple[Layer, ...] = ()
    first: tuple[Layer, ...] = ()
    beside: bool = False
    command: Command = TRUE

    def lowers(self, store: Store, layers: Sequence[Layer]) -> tuple[Path, ...]:
        """As `tasks.worker` finds them."""
        if not self.beside:
            return unions.lowers(store, self.bottom, layers)
        below = unions.lowers(store, (), layers, at=OWN_ROOT.lstrip("/"))
        return (*below, *unions.lowers(store, self.bottom, ()))


def on_seed(seed: Path) -> Composed:
    """A seed, and layers over it."""
    bottom = Layer("0" * 64, seed, "seed", "seed", 0, 0)
    return Composed("a root of a seed and {number} layers as builds compose it", (bottom,))


def composed_rows(place: Place, root: Composed, number: int, ready: Path, runs: int) -> list[Row]:
    """A root of ``number`` layers, the finding of its lowers included, and bubblewrap in turns."""
    taken: dict[str, list[float]] = {"running": [], "ended": [], "bwrap": []}
    with Store.open(place.directory / "starts") as store, NativeEngine() as engine:
        layers = [*root.first, *stored(place, store, number - len(root.first))]
        for _ in range(WARM + runs):
            time.sleep(PAUSE)
            began = time.monotonic()
            lowers = root.lowers(store, layers)
            found = (time.monotonic() - began) * 1e3
            running, ended = _native(engine, lowers, place.directory / "upper", root.command)
            taken["running"].append(found + running)
            taken["ended"].append(found + ended)
            if _has_bwrap():
                time.sleep(PAUSE)
                taken["bwrap"].append(_spawned(_bwrap(ready, root.command)))
    place.removed(place.directory / "starts")
    counted = {name: times[WARM:] for name, times in taken.items()}
    what = f"{root.what.format(number=number)}: first command"
    aims = [Aim(10, of="value")]
    if (bwrap := counted["bwrap"]) and root.bottom and not root.beside:
        aims.append(Aim(round(statistics.median(bwrap) + ABOVE, 2), of="value"))
    beside = (
        (bwrap, "bubblewrap on a ready directory, to the end of the command") if bwrap else None
    )
    rows = [median_row(f"{what} running", counted["running"], "ms", beside, aim) for aim in aims]
    return [*rows, median_row(f"{what} ended", counted["ended"], "ms", beside)]


def rows(place: Place, seed: Path, ready: Path, sizes: Sequence[int], runs: int) -> list[Row]:
    """Measure all heights of stack, bubblewrap and chroot in turns; milliseconds."""
    tiny = tiny_layers(place, max(sizes))
    first: dict[int, list[float]] = {size: [] for size in sizes}
    ended: dict[int, list[float]] = {size: [] for size in sizes}
    bwrap: list[float] = []
    chroot: list[float] = []
    if not _has_bwrap():
        say("  bubblewrap is not installed: left out")
    with NativeEngine() as engine:
        for number in range(WARM + runs):
            for size in sizes:
                time.sleep(PAUSE)
                times = _native(engine, (seed, *tiny[:size]), place.directory / "upper")
                if number >= WARM:
                    first[size].append(times[0])
                    ended[size].append(times[1])
            time.sleep(PAUSE)
            chroot.append(_spawned(("chroot", str(ready), "/bin/true")))
            if _has_bwrap():
                time.sleep(PAUSE)
                bwrap.append(_spawned(_bwrap(ready)))
    place.removed(place.directory / "tiny")
    made = []
    for size in sizes:
        what = f"from a seed and {size} layers to the first command"
        aim = Aim(AIMS[size], of="value")
        made.append(median_row(f"{what} running", first[size], "ms", aim=aim))
        beside = (bwrap[WARM:], "bubblewrap on a ready directory, to the end of the command")
        made.append(median_row(f"{what} ended", ended[size], "ms", beside))
    low = min(sizes)
    beside = (chroot[WARM:], "plain chroot into a ready directory, no isolation")
    made.append(
        median_row(
            f"from a seed and {low} layers to the first command ended", ended[low], "ms", beside
        )
    )
    return made


def row_rows(place: Place, seed: Path, layers: int, starts: int) -> list[Row]:
    """Start one after the other without a pause; what grows meanwhile."""
    tiny = tiny_layers(place, layers)
    lowers, upper = (seed, *tiny), place.directory / "upper"
    with NativeEngine() as engine:
        for _ in range(50):
            _native(engine, lowers, upper)
        before = _held(engine)
        each = [_native(engine, lowers, upper)[1] for _ in range(starts)]
        grown = [after - old for after, old in zip(_held(engine), before, strict=True)]
    place.removed(place.directory / "tiny")
    what = f"{starts:,} starts in a row, from a seed and {layers} layers"
    return [
        median_row(f"{what}: each, to its end", each, "ms"),
        Row(f"{what}: memory grown", max(0.0, grown[0]), "MB", aim=Aim(1, of="value")),
        Row(f"{what}: descriptors more", grown[1], "descriptors", aim=Aim(0, of="value")),
        Row(f"{what}: mounts more", grown[2], "mounts", aim=Aim(0, of="value")),
    ]


def _held(engine: NativeEngine) -> tuple[float, int, int]:
    """Megabytes, open descriptors and mounts of this process and the engine's launcher."""
    time.sleep(0.5)  # the launcher has made its spare sandbox by then
    memory, descriptors = 0, 0
    for pid in (os.getpid(), engine.launcher.pid):
        process = Path("/proc", str(pid))
        for line in (process / "smaps_rollup").read_text().splitlines():
            if line.startswith("Private_"):
                memory += int(line.split()[1])
        descriptors += len(list((process / "fd").iterdir()))
    mounts = len(Path("/proc/self/mountinfo").read_text().splitlines())
    return memory / 1024, descriptors, mounts


def _native(
    engine: NativeEngine, lowers: tuple[Path, ...], upper: Path, command: Command = TRUE
) -> tuple[float, float]:
    """Milliseconds until the program was executed, and until its sandbox had ended."""
    upper.mkdir()
    sandbox = Sandbox(lowers, upper=upper)
    began = time.monotonic()
    process = engine.start(sandbox, command)
    running = time.monotonic()
    process.wait()
    over = time.monotonic()
    shutil.rmtree(upper)
    return (running - began) * 1e3, (over - began) * 1e3


def _has_bwrap() -> bool:
    return shutil.which("bwrap") is not None


def _bwrap(ready: Path, command: Command = TRUE) -> tuple[str, ...]:
    own = ("--unshare-all", "--dev", "/dev", "--proc", "/proc")
    return ("bwrap", "--bind", str(ready), "/", *own, *command.argv)


def _spawned(words: tuple[str, ...]) -> float:
    """Milliseconds of a command that has no output."""
    began = time.monotonic()
    pid = os.posix_spawnp(words[0], words, dict(ENVIRONMENT) | {"PATH": os.environ["PATH"]})
    _, status = os.waitpid(pid, 0)
    over = time.monotonic()
    if status:
        raise OSError(f"{words[0]}: status {os.waitstatus_to_exitcode(status)}")
    return (over - began) * 1e3
