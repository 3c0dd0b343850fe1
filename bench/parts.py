"""Seeds in parts: how long splitting one takes, composing hundreds again, and `--strict`."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from bench import overhead
from bench.place import Place, settle
from bench.starts import TRUE
from bench.table import Aim, Row, median_row
from cloche.layers import (
    Layer,
    commit,
)
from cloche.roots import unions
from cloche.sandbox.base import Sandbox
from cloche.sandbox.native import NativeEngine
from cloche.seeds.parts.derived import parts_of
from cloche.store import Store

FILES = 100  # of each package
SIZES = (300, 900, 2_000, 6_000, 24_000)  # bytes of files, in turns: 6.6 KB are a stage3's mean
PLACES = ("usr/bin", "usr/lib64", "usr/include/{}", "usr/share/{}/data", "usr/share/locale/de")
WARM = 3
TOOLS = 'BDEPEND="dev-build/autoconf sys-devel/bison virtual/pkgconfig"\n'


def make_seed(top: Path, packages: int) -> None:
    """Make a tree with a VDB, laid out as packages are."""
    for number in range(packages):
        name = f"p{number}"
        lines = []
        for file in range(FILES):
            place = PLACES[file % len(PLACES)].format(name)
            path = top / place / f"{name}-{file}"
            path.parent.mkdir(parents=True, exist_ok=True)
            size = SIZES[file % len(SIZES)]
            content = (f"{name} {file}\n" * (size // len(f"{name} {file}\n"))).encode()
            path.write_bytes(content)
            digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
            lines.append(f"obj /{path.relative_to(top)} {digest} 1\n")
        entry = top / f"var/db/pkg/dev-libs/{name}-1"
        entry.mkdir(parents=True)
        (entry / "CONTENTS").write_text("".join(lines))
        (entry / "SLOT").write_text("0\n")


def split_rows(place: Place, bottom: Path, packages: int, runs: int) -> list[Row]:
    """Split a seed of so many packages, and compose roots of its parts over a real seed."""
    base = (Layer("0" * 64, bottom, "seed", "seed", 0, 0),)
    upper = place.directory / "parts-upper"
    with Store.open(place.directory / "parts") as store, NativeEngine() as engine:
        with store.workspace("seed") as room:
            make_seed(room / "seed", packages)
            seed = commit(store, room / "seed", kind="seed", label="generated")
        settle()

        def composed() -> float:
            """Milliseconds from layers to the first command."""
            upper.mkdir()
            began = time.monotonic()
            lowers = unions.lowers(store, base, parts)
            process = engine.start(Sandbox(lowers, upper=upper), TRUE)
            took = (time.monotonic() - began) * 1e3
            process.wait()
            place.removed(upper)
            return took

        began = time.monotonic()
        parts = tuple(parts_of(store, seed).values())
        split = time.monotonic() - began
        cold = composed() / 1e3
        warm = [composed() for _ in range(WARM + runs)][WARM:]
    place.removed(place.directory / "parts")
    what = f"a seed of {seed.files:,} files, {packages} packages"
    visible = f"a visible set of {len(parts)} packages, {seed.files:,} files: first command running"
    return [
        Row(f"{what}: split, composed again", split + cold, "s", aim=Aim(10, of="value")),
        Row(f"{what}: splitting alone", split, "s"),
        Row(f"{visible}, the first time", cold, "s", aim=Aim(2, of="value")),
        median_row(f"{visible}, from then on", warm, "ms", aim=Aim(50, of="value")),
    ]


def strict_rows(place: Place, number: int) -> list[Row]:
    """Packages that compile nothing and declare tools of the seed, strictly and not, in turns."""
    kinds = {"plain": (), "strict": ("--strict",)}
    names = {kind: [f"{kind}-{chr(ord('a') + n)}" for n in range(number + 1)] for kind in kinds}
    project = place.project(
        "strictness", _project([name for all in names.values() for name in all])
    )
    settle()
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    for turn in range(number + 1):  # the first splits the seed
        for kind in sorted(kinds, reverse=bool(turn % 2)):
            built = place.build(project, names[kind][turn], jobs=1, options=kinds[kind])
            taken[kind] += built.took().values()
    strict, plain = (taken[kind][1:] for kind in ("strict", "plain"))
    what = "a package that compiles nothing and asks for autoconf, bison, pkgconf, `--strict`"
    beside = (plain, "the same without `--strict`")
    return [median_row(f"{what}: build, merge, everything", strict, "s", beside, Aim(1.05))]


def _project(names: list[str]) -> Callable[[Path], None]:
    """A change that adds the packages, each with a machine of its own."""

    def change(project: Path) -> None:
        mini = (project / "machines/mini.toml").read_text().splitlines()
        lines = [line for line in mini if not line.startswith("packages")]
        for name in names:
            files = project / "repo" / overhead.CATEGORY / name / "files"
            files.mkdir(parents=True)
            (files / "file").write_text(f"{name}\n")
            (files.parent / f"{name}-1.ebuild").write_text(overhead.EBUILD + TOOLS)
            wanted = f'packages = ["{overhead.CATEGORY}/{name}"]'
            (project / f"machines/{name}.toml").write_text("\n".join([*lines, wanted]))

    return change
