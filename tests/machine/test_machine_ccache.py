"""Compile caches: they save compiling, change no result, and belong to one package each."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import tiny
from tests.support import Store, project

from cloche.store import names

pytestmark = pytest.mark.real

HEAD = """\
EAPI=8
DESCRIPTION="Compiles"
HOMEPAGE="https://example.org/tiny"
S="${WORKDIR}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
"""
SOURCES = """
src_unpack() {
	for i in a b c; do
		echo "const char *$i(void) { return __FILE__; }" > $i.c || die
	done
	echo 'const char *a(void); int main(void) { return !a(); }' > main.c || die
}
src_install() { dobin objects; }
"""
# The CHOST of a package of its own, which is a part of the toolchain.
COMPILER = """
src_install() {
	printf '#!/bin/sh\\nexec gcc "$@"\\n' | newbin - x86_64-tiny-linux-gcc
}
"""
COMPILING = """
src_compile() {
	for i in a b c main; do x86_64-pc-linux-gnu-gcc ${CFLAGS} -c $i.c || die; done
	gcc -o objects *.o || die
}
"""
MESON = """
src_configure() {
	echo "project('objects', 'c')
executable('objects', 'a.c', 'b.c', 'c.c', 'main.c')" > meson.build || die
	meson setup --buildtype plain build || die
}
src_compile() { meson compile -C build && mv build/objects . || die; }
"""
EBUILDS = {
    "compiler": COMPILER,
    "objects": f'BDEPEND="tiny/compiler"\n{SOURCES}{COMPILING}',
    "twin": SOURCES.replace("dobin objects", "newbin objects twin") + COMPILING,
    "mesoned": SOURCES.replace("dobin objects", "newbin objects mesoned") + MESON,
}
COMPILED = tuple(EBUILDS)[1:]


@dataclass(frozen=True)
class Scene:
    """A project of these ebuilds, and a store whose seed has ccache."""

    store: Store
    place: Path

    def write(self, name: str, more: str, text: str = "") -> None:
        """Write an ebuild, with one more line."""
        file = self.place / f"repo/tiny/{name}/{name}-1.ebuild"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"{HEAD}{text or EBUILDS[name]}\n{more}\n")

    def build(self, comment: str) -> tiny.Build:
        """Build all of them with a comment more in their ebuilds."""
        for name in COMPILED:
            self.write(name, f"# {comment}")
        return tiny.build(self.store, self.place)

    def use(self, name: str) -> tuple[int, int]:
        """How many objects the last build of a package found in its cache, and compiled."""
        told = self.store.cloche("log", f"tiny/{name}", cwd=self.place, check=True).stdout
        found = re.search(r"^cloche: ccache: (\d+) found, (\d+) compiled$", told, re.MULTILINE)
        return (int(found[1]), int(found[2])) if found else (0, 0)

    def uses(self) -> dict[str, tuple[int, int]]:
        """The same of all packages."""
        return {name: self.use(name) for name in COMPILED}

    def caches(self) -> dict[str, tuple[str, ...]]:
        """The blobs of all caches, by the names of their pins."""
        from cloche.store import Store as Opened

        with Opened.open(self.store.path) as store:
            return {pin.name: pin.blobs for pin in store.pins(names.CCACHES)}


@pytest.fixture(scope="module")
def scene(root_seeded: Store, ground: Path) -> Scene:
    """The project, with the packages built once without any cache."""
    (ground / "ccache").mkdir()
    store = root_seeded.copy(ground / "ccache/store")
    place = project(store, tiny.PROJECT)
    scene = Scene(store, place)
    file = place / "cloche.toml"
    file.write_text(file.read_text().replace('"bookworm"', '"bookworm"\npackages = ["ccache"]'))
    machine = place / "machines/tiny.toml"
    wanted = ", ".join(f'"tiny/{name}"' for name in COMPILED)
    text = re.sub(r"(?m)^packages = .*", f"packages = [{wanted}]", machine.read_text())
    machine.write_text(text.partition("[output]")[0])
    store.cloche("seed", "bootstrap", cwd=place, check=True)
    scene.write("compiler", "")
    return scene


@pytest.fixture(scope="module")
def builds(scene: Scene) -> dict[str, tuple[tiny.Build, dict[str, tuple[int, int]]]]:
    """Three builds after each other: without a cache, with an empty one, with a full one."""
    done = {"without": (scene.build("without"), scene.uses())}
    file = scene.place / "cloche.toml"
    file.write_text(f"{file.read_text()}\n[build]\nccache = true\n")
    for what in ("empty", "full"):
        done[what] = scene.build(what), scene.uses()
    return done


def test_results_are_the_same_without_a_cache_with_an_empty_and_with_a_full_one(builds) -> None:
    layers = [build.layers for build, _ in builds.values()]
    assert layers[0] == layers[1] == layers[2]
    expected = {f"tiny/{name}-1" for name in COMPILED}
    assert all(build.packages("built") >= expected for build, _ in builds.values())


def test_a_changed_ebuild_finds_all_that_its_earlier_build_compiled(builds) -> None:
    assert set(builds["without"][1].values()) == {(0, 0)}
    for name in COMPILED:
        compiled, found = builds["empty"][1][name], builds["full"][1][name]
        assert compiled[1] >= 4, name
        assert found[0] >= 4, name
        assert found[1] == 0, name


def test_a_package_does_not_see_the_cache_of_another(builds) -> None:
    """The twins compile the same, one after the other or at once."""
    assert builds["empty"][1]["objects"] == builds["empty"][1]["twin"] == (0, 4)


def test_a_failed_build_leaves_its_cache_and_the_next_one_finds_it(builds, scene: Scene) -> None:
    before = scene.caches()
    broken = EBUILDS["objects"].replace("&& die", "").replace("return !a()", "return !a() + 0")
    scene.write("objects", "src_test() { :; }\nsrc_install() { die 'on purpose'; }", broken)
    failed = scene.store.cloche("build", "tiny", cwd=scene.place)
    assert failed.returncode == 1
    assert scene.caches() == before
    scene.write("objects", "# fixed", broken)
    tiny.build(scene.store, scene.place)
    assert scene.use("objects") == (3, 1)
    changed = {name for name, blobs in scene.caches().items() if before[name] != blobs}
    assert [name.split("/")[2:5] for name in changed] == [["tiny", "tiny", "objects"]]


def test_another_toolchain_has_another_cache(builds, scene: Scene) -> None:
    before = scene.caches()
    scene.write("compiler", "", COMPILER.replace("exec gcc", "exec  gcc"))
    tiny.build(scene.store, scene.place)
    assert scene.use("objects") == (0, 4)
    assert len(scene.caches()) == len(before) + 1


def test_what_caches_take_up_is_shown_and_a_rebuild_uses_none(builds, scene: Scene) -> None:
    told = json.loads(scene.store.cloche("store", "usage", "--json", check=True).stdout)
    (part,) = (part for part in told["parts"] if part["name"] == "ccache")
    assert part["count"] >= len(COMPILED)
    assert part["bytes"] > 0
    again = scene.store.cloche("build", "tiny", "--rebuild", "tiny/twin", cwd=scene.place)
    assert "the same layer as before" in again.stdout + again.stderr
    assert scene.use("twin") == (0, 0)


def test_a_seed_without_ccache_is_refused_before_anything_is_built(root_seeded, ground) -> None:
    place = project(root_seeded, tiny.PROJECT)
    file = place / "cloche.toml"
    file.write_text(f"{file.read_text()}\n[build]\nccache = true\n")
    store = root_seeded.copy(ground / "ccache-without")
    refused = store.cloche("build", "tiny", cwd=place)
    assert refused.returncode == 2
    assert "ccache" in refused.stderr
    assert 'packages = ["ccache"]' in refused.stderr
    assert "Traceback" not in refused.stderr
