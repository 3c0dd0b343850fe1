"""Compares composed layers with what Portage makes of the same packages, in a process of its own.

Usage: ``unshare --mount composing_driver.py SEED DIRECTORY EXAMPLES RANDOM_SEED WHOSE`` as root.
WHOSE root packages are merged into is "seed" (a copy of one) or "own". Packages are generated, each
merged over its own run-time closure as cloche does it, composed, and compared with a root into
which Portage merged them one after the other. Where Portage refuses one of them, composing has to
refuse, and the other way round.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, event, given, seed, settings
from hypothesis import strategies as st
from tests import values

from cloche.composing.collisions import CollisionError
from cloche.composing.compose import Composer
from cloche.composing.footprint import contents, entries
from cloche.layers import (
    Layer,
    capture,
    compare,
)
from cloche.plan.depgraph import Package
from cloche.plan.plan import Plan
from cloche.roots import (
    mount_overlay,
    own_mounts,
)
from cloche.tasks.errors import StepError
from cloche.tasks.merge import GLOBAL_STATE, OF_SANDBOX

HERE = Path(__file__).parent
GUEST = HERE.parents[1] / "src/cloche/guest"


def run(*command: str | Path) -> None:
    """Run a command, which has to work."""
    subprocess.run(command, check=True)


class RefusedError(Exception):
    """Portage did not merge a package."""


@dataclass(frozen=True)
class Image:
    """What a package installs: for each path a file's content, a link's target, or a mode."""

    files: Mapping[str, str]
    links: Mapping[str, str]
    directories: Mapping[str, int]

    def write(self, place: Path) -> None:
        """Make it on the disk."""
        place.mkdir()
        for name in sorted({*self.files, *self.links, *self.directories}):
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name in self.files:
                path.write_text(self.files[name])
            elif name in self.links:
                path.symlink_to(self.links[name])
            else:
                path.mkdir(exist_ok=True)
                path.chmod(self.directories[name])
        for path in place.rglob("*"):
            os.utime(path, (0, 0), follow_symlinks=False)


PARTS = ("a", "b", "c", "d")
NAMES = st.lists(st.sampled_from(PARTS), min_size=1, max_size=3).map("/".join)
TARGETS = st.one_of(
    st.lists(st.sampled_from((*PARTS, "..")), min_size=1, max_size=3).map("/".join),
    NAMES.map(lambda name: f"/{name}"),
    st.just("nowhere"),
)


@st.composite
def images(draw: st.DrawFn, own: str = "own") -> Image:
    """An image of a few names; what would lie below a file or a link of its own is left out.

    Many files have a name that no other package has: they collide with nothing.
    """
    files: dict[str, str] = {}
    links: dict[str, str] = {}
    directories: dict[str, int] = {}
    for name in draw(st.lists(NAMES, min_size=1, max_size=4, unique=True)):
        above = {name[:at] for at, sign in enumerate(name) if sign == "/"}
        below = [n for n in (*files, *links) if n.startswith(f"{name}/")]
        if above & (files.keys() | links.keys()):
            continue
        kind = draw(st.sampled_from(("file", "own", "own", "link", "link", "directory", "kept")))
        if kind in ("file", "link") and (
            below or any(n.startswith(f"{name}/") for n in directories)
        ):
            continue
        if kind == "own":
            files[f"{name}/{own}"] = own
        elif kind == "file":
            files[name] = draw(st.sampled_from(("one", "two")))
        elif kind == "link":
            links[name] = draw(TARGETS)
        else:
            directories[name] = draw(st.sampled_from((0o755, 0o700)))
            if kind == "kept":
                files[f"{name}/.keep"] = ""
    return Image(files, links, directories)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Image, list[Image], list[tuple[int, ...]]]:
    """A seed, packages in merge order, and for each the earlier ones that it depends on."""
    empty = st.just(Image({}, {}, {}))
    ground = draw(st.one_of(empty, empty, empty, images()))
    packages = [draw(images(f"own{n}")) for n in range(draw(st.integers(2, 3)))]
    needs: list[tuple[int, ...]] = []
    for place in range(len(packages)):
        earlier = [n for n in range(place) if draw(st.integers(0, 5)) == 0]
        needs.append(tuple(earlier))
    return ground, packages, needs


def behind(link: str, path: str, *, kept: str = "") -> tuple[Image, list[Image], list[Any]]:
    """A link, a file that gets behind it, and the same file at the path the link leads to."""
    files = {"a/own0": "own0"} | ({kept: ""} if kept else {})
    first = Image(files, {"b": link}, {})
    others = [Image({"b/d": "one"}, {}, {}), Image({path: "two"}, {}, {})]
    return Image({}, {}, {}), [first, *others], [(), (), ()]


#: Worlds that were composed wrongly once: the third package has nothing in its way until the second
#: is merged again over the first, and that file's owner is only seen with the first one's link.
ONCE_WRONG = (behind("a", "a/d"), behind("/a/c", "a/c/d", kept="a/c/.keep"))


@dataclass
class Arena:
    """A place where roots are mounted, and a Portage beside it that merges into them."""

    seed: Path
    top: Path
    whose: str
    counts: Counter[str] = field(default_factory=Counter)
    number: int = 0

    def start(self) -> None:
        """Enter mounts of our own, and start Portage in a copy-on-write seed."""
        own_mounts()
        self.chroot, self.root = self.top / "chroot", self.top / "chroot/arena/root"
        for name in ("upper", "work", "chroot", "guest", "trees"):
            (self.top / name).mkdir()
        shutil.copytree(GUEST, self.top / "guest/guest")
        mount_overlay([self.seed], self.chroot, top=self.top / "upper", work=self.top / "work")
        for name in ("arena", "arena/root", "arena/guest"):
            (self.chroot / name).mkdir()
        run("mount", "--bind", self.top / "guest", self.chroot / "arena/guest")
        run("mount", "-t", "proc", "proc", self.chroot / "proc")
        run("mount", "--rbind", "/dev", self.chroot / "dev")
        script = self.top / "guest/merger.py"
        shutil.copy(HERE / "portage_merger.py", script)
        self.log = (self.top / "log").open("w+")
        self.portage = subprocess.Popen(
            ["chroot", self.chroot, "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
             "HOME=/root", "LC_ALL=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1",
             "python3", "/arena/guest/merger.py", "/arena/guest", "/arena/root", self.whose],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
        )  # fmt: skip

    def fresh(self) -> Path:
        """A directory for one merge, or one world."""
        self.number += 1
        place = self.top / "trees" / str(self.number)
        place.mkdir()
        return place

    def merge(self, cpv: str, image: Image, lowers: Sequence[Path], place: Path) -> None:
        """Merge a package over some layers; its writes are in ``place/upper``."""
        shutil.rmtree(place / "work", ignore_errors=True)
        for name in ("upper", "work"):
            (place / name).mkdir(exist_ok=True)
        image.write(place / "image")
        info = place / "info"
        info.mkdir()
        for name, value in {"SLOT": "0", "EAPI": "8", "CATEGORY": cpv.split("/")[0]}.items():
            (info / name).write_text(f"{value}\n")
        (info / f"{cpv.split('/')[1]}.ebuild").write_text("EAPI=8\n")
        mount_overlay(list(lowers), self.root, top=place / "upper", work=place / "work")
        for name in ("image", "info"):
            run("mount", "--bind", place / name, self.root / "run" / name)
        try:
            assert self.portage.stdin is not None
            assert self.portage.stdout is not None
            self.portage.stdin.write(f"{cpv}\n")
            self.portage.stdin.flush()
            answer = json.loads(self.portage.stdout.readline())
        finally:
            run("umount", "-R", self.root)
        for name in ("image", "info"):
            shutil.rmtree(place / name)
        if answer["refused"]:
            raise RefusedError(f"{cpv}: {answer['refused']}")


@dataclass
class World:
    """One example: packages with layers of their own."""

    arena: Arena
    ground: Path
    images: Mapping[str, Image]
    plan: Plan
    layers: dict[str, Layer] = field(default_factory=dict)
    again: int = 0

    def merged(self, package: Package, over: Sequence[Layer]) -> Layer:
        """A package's layer over some others, as the merge step makes it."""
        place = self.arena.fresh()
        lowers = [self.ground, *(layer.path for layer in over)]
        self.arena.merge(package.cpv, self.images[package.id], lowers, place)
        capture(place / "upper", lowers, place / "layer", drop=(*GLOBAL_STATE, *OF_SANDBOX))
        return values.layer(place / "layer", package.cpv)

    def composed(self) -> tuple[Layer, ...]:
        """All packages in one root."""

        def again(package: Package, over: Sequence[Layer], _: Sequence[str]) -> Layer:
            self.again += 1
            try:
                return self.merged(package, over)
            except RefusedError as refused:
                raise StepError(package.id, "merge", f"NOT merged: {refused}") from refused

        ground = values.layer(self.ground, "seed", kind="seed")
        base = (ground,) if self.arena.whose == "seed" else ()
        composer = Composer(self.plan, self.layers.__getitem__, again, base=base)
        for package in self.plan.packages:
            over = composer.compose(self.plan.visible[package.id].merge, package.id)
            self.layers[package.id] = self.merged(package, over)
        return composer.compose([package.id for package in self.plan.packages], "the root")


def package(number: int, needs: Sequence[int]) -> Package:
    """A package without phases."""
    edges = (values.edge(f"p{other}") for other in needs)
    return values.package(f"p{number}", *edges, requested=True)


def emerged(arena: Arena, world: World) -> Path:
    """The root into which Portage merged all packages, one after the other."""
    place = arena.fresh()
    for each in world.plan.packages:
        arena.merge(each.cpv, world.images[each.id], [world.ground], place)
    return place / "upper"


def owned_in(trees: Sequence[Path]) -> set[tuple[str, str, str]]:
    """What all packages own, by their CONTENTS."""
    return {
        (cpv, kind, name)
        for tree in trees
        for cpv in entries(tree)
        for kind, name in contents(tree, cpv)
    }


def check(arena: Arena, drawn: tuple[Image, list[Image], list[tuple[int, ...]]]) -> str:
    """Compare one world; give in a word how it went."""
    ground, packages, needs = drawn
    if arena.whose == "own":
        ground = Image({}, {}, {})  # nothing but the places to mount things
    place = arena.fresh()
    ground.write(place / "ground")
    for name in ("var/db/pkg", "var/tmp", "tmp", "etc", "dev", "run/image", "run/info"):
        (place / "ground" / name).mkdir(parents=True)
    plan = values.plan_of(*(package(n, needs[n]) for n in range(len(packages))))
    images = {p.id: packages[n] for n, p in enumerate(plan.packages)}
    world = World(arena, place / "ground", images, plan)
    try:
        theirs = emerged(arena, world)
    except RefusedError as refused:
        try:
            world.composed()
        except CollisionError:
            return "refused by name"
        except RefusedError:
            return "refused over its own closure"
        except StepError as error:
            print(error, drawn, file=sys.stderr)
            return "refused without names"
        raise AssertionError(f"emerge refuses, cloche does not: {refused}") from None
    try:
        ours = world.composed()
    except RefusedError:
        return "needs what it does not declare"
    except (CollisionError, StepError) as error:
        raise AssertionError(f"cloche refuses, emerge does not: {error!r}") from None
    ignore = dict.fromkeys(("etc", "tmp", "var", "run"), "what Portage generates in every root")
    stack = [world.ground, *(layer.path for layer in ours)]
    comparison = compare(stack, [world.ground, theirs], ignore=ignore)
    assert comparison.equal, comparison.text()
    assert owned_in([layer.path for layer in ours]) == owned_in([theirs])
    return "merged again" if world.again else "as they were"


def main() -> None:
    """Try some examples; the random seed is an argument, so that a failure can be had again."""
    place, top, examples, number = Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:5])
    arena = Arena(place, top, sys.argv[5])
    arena.start()

    @seed(number)
    @settings(
        max_examples=examples, deadline=None, database=None, print_blob=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(worlds())
    def all_worlds(drawn: Any) -> None:
        how = check(arena, drawn)
        event(how)
        arena.counts[how] += 1
        for each in (arena.top / "trees").iterdir():
            shutil.rmtree(each)

    for world in ONCE_WRONG:
        how = check(arena, world)
        # From outside of a root, Portage does not follow an absolute link in it.
        absolute = world[1][0].links["b"].startswith("/") and arena.whose == "own"
        assert how == ("merged again" if absolute else "refused by name"), (how, world)
    all_worlds()
    print(json.dumps(arena.counts))


if __name__ == "__main__":
    main()
