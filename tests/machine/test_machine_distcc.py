"""`make proof-distcc`: compiles of builds on another host change no result.

It makes a seed with distcc. `tests/distcc/test_distcc_serving.py` has what is quick.
"""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import tiny
from tests.cluster.running import wait_for
from tests.support import Store, project

pytestmark = [pytest.mark.real, pytest.mark.proof(name="distcc")]

HEAD = """\
EAPI=8
DESCRIPTION="Compiles"
HOMEPAGE="https://example.org/tiny"
S="${WORKDIR}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
RESTRICT="strip"
src_unpack() {
	for i in a b c; do
		echo "#include <assert.h>
		const char *$i(int x) { assert(x); return __FILE__ __TIME__; }" > $i.c || die
	done
	echo 'const char *a(int x); int main(void) { return !a(1); }' > main.c || die
	echo '#include <vector>
	int more() { return std::vector<int>(3).size(); }' > more.cc || die
	echo '#include <source_location>
		int column(  ) {   return   std::source_location::current().column(); }' > column.cc || die
}
src_compile() {
	! gcc -c never.c 2>/dev/null && ! gcc -Wno-such-thing-as-this=1 -c never.c 2>/dev/null || die
	for i in a b c main; do gcc -O2 -Wall -MD -c $i.c || die; done
	gcc -O2 -g -c a.c -o debug.o || die
	x86_64-pc-linux-gnu-g++ -O2 -fstack-usage -c more.cc && [[ -s more.su ]] || die
	g++ -O2 -c more.cc || die
	g++ -O2 -std=c++20 -c column.cc || die
	g++ -o NAME a.o b.o c.o main.o more.o column.o || die
}
src_install() { dobin NAME; insinto /usr/share/NAME; doins *.o *.d; }
"""
COMPILER = """
src_install() {
	printf '#!/bin/sh\\nexec gcc "$@"\\n' | newbin - x86_64-tiny-linux-gcc
}
"""
SENT = 5  # of each build; others have columns of the source in them, or write more files


@dataclass(frozen=True)
class Scene:
    """A project whose seed has distcc, its store, and another one with the same seed."""

    store: Store
    other: Store
    place: Path
    listen: Path

    def write(self, name: str, text: str) -> None:
        """Write an ebuild."""
        file = self.place / f"repo/tiny/{name}/{name}-1.ebuild"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)

    def build(self, comment: str) -> tiny.Build:
        """Build both packages with another comment in their ebuilds."""
        text = f"{HEAD}# {comment}\n"
        self.write("objects", text.replace("NAME", "objects"))
        self.write("own", text.replace("NAME", "own") + 'BDEPEND="tiny/compiler"\n')
        return tiny.build(self.store, self.place)

    def sent(self, name: str) -> int | None:
        """How many compiles of a package's last build were done elsewhere; None: it had no way."""
        told = self.store.cloche("log", f"tiny/{name}", cwd=self.place, check=True).stdout
        found = re.search(r"^cloche: distcc: (\d+) compiled elsewhere$", told, re.MULTILINE)
        return int(found[1]) if found else None


@pytest.fixture(scope="module")
def scene(root_seeded: Store, ground: Path) -> Scene:
    """The project, with the packages built once without distcc."""
    (ground / "distcc").mkdir()
    store = root_seeded.copy(ground / "distcc/store")
    place = project(store, tiny.PROJECT)
    file = place / "cloche.toml"
    file.write_text(file.read_text().replace('"bookworm"', '"bookworm"\npackages = ["distcc"]'))
    machine = place / "machines/tiny.toml"
    wanted = 'packages = ["tiny/objects", "tiny/own"]'
    text = re.sub(r"(?m)^packages = .*", wanted, machine.read_text())
    machine.write_text(text.partition("[output]")[0])
    store.cloche("seed", "bootstrap", cwd=place, check=True)
    other = store.copy(ground / "distcc/other")
    made = Scene(store, other, place, ground / "distcc/socket")
    made.write("compiler", HEAD.partition("src_unpack")[0] + COMPILER)
    return made


@pytest.fixture(scope="module")
def server(scene: Scene, ground: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`cloche distcc serve` with the other store."""
    said = ground / "distcc/said"
    with said.open("wb") as file:
        words = scene.other.user.command("--store", scene.other.path, "distcc", "serve", "--listen",
                                         f"unix:{scene.listen}")  # fmt: skip
        process = subprocess.Popen(words, stderr=file, cwd="/")
    wait_for(lambda: "compiling for builds" in said.read_text(), 60)
    yield process
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 130
    assert not scene.listen.exists()


def test_layers_are_the_same_wherever_they_are_compiled(scene: Scene, server) -> None:
    without = scene.build("without")
    assert scene.sent("objects") is None
    file = scene.place / "cloche.toml"
    before = file.read_text()
    file.write_text(f'{before}\n[build]\ndistcc = ["unix:{scene.listen}"]\n')
    compiled = scene.build("compiled elsewhere")
    assert compiled.packages("built") >= {"tiny/objects-1", "tiny/own-1"}
    assert compiled.layers == without.layers
    assert scene.sent("objects") == SENT
    assert scene.sent("own") is None  # it sees a compiler that is a package

    file.write_text(f'{before}\n[build]\ndistcc = ["unix:/nowhere/at/all"]\n')
    dead = scene.build("a host that is dead")
    assert dead.layers == without.layers
    assert scene.sent("objects") == 0


def test_a_seed_without_distcc_is_refused_before_anything_is_built(root_seeded, ground) -> None:
    place = project(root_seeded, tiny.PROJECT)
    file = place / "cloche.toml"
    file.write_text(f'{file.read_text()}\n[build]\ndistcc = ["build1"]\n')
    refused = root_seeded.copy(ground / "without-distcc").cloche("build", "tiny", cwd=place)
    assert refused.returncode == 2
    assert 'add packages = ["distcc"]' in refused.stderr
