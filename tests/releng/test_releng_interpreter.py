"""A spec for another CPU: its source is a Debian for arm64, whose programs run under QEMU.

Making that source (`foreign.py`) takes most of the time; ``CLOCHE_TESTS_FOREIGN`` names an existing
one.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.releng.small import STAMP, Release, released
from tests.support import Store, cannot

from cloche.config.lock import TreeSeed
from cloche.config.lock import read as read_lock

pytestmark = [pytest.mark.real, pytest.mark.proof(name="interpreter")]

SPEC = """\
target: stage4
subarch: {subarch}
rel_type: small
snapshot_treeish: abc
compression_mode: zstd
source_subpath: small/{source}
version_stamp: @TIMESTAMP@
profile: {profile}
stage4/packages: app-misc/note app-misc/compiled
stage4/fsscript: {place}/fsscript.sh
"""
COMPILED = """\
EAPI=8
DESCRIPTION="Is compiled"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64 arm64"

src_compile() {
	echo 'int main(void) { return sizeof(void *) == 8 ? 0 : 1; }' > compiled.c || die
	gcc ${CFLAGS} -o compiled compiled.c || die
	./compiled || die
}

src_install() {
	dobin compiled
}
"""
FSSCRIPT = """\
#!/bin/bash
set -e
/usr/bin/compiled
uname -m > /etc/cpu
"""


@pytest.fixture(scope="module")
def release(root_seeded: Store, ground: Path) -> Iterator[Release]:
    """A storedir with both sources, and a spec for each CPU: ``native`` and ``foreign``."""
    qemu = shutil.which("qemu-aarch64-static")
    if qemu is None:
        cannot("no qemu-aarch64-static (Debian's package is qemu-user-static)")
    with released(root_seeded, ground, "interpreter", _add_to_tree) as made:
        _add_specs(made, Path(qemu))
        yield made


def _add_specs(made: Release, qemu: Path) -> None:
    place = made.place
    builds = place / "store/builds/small"
    (builds / "seed.tar.zst").rename(builds / "native.tar.zst")
    if ready := os.environ.get("CLOCHE_TESTS_FOREIGN"):
        shutil.copy(ready, builds / "foreign.tar.zst")
    else:
        (sdist,) = (made.store.path / "downloads").glob("portage-*.tar.gz")
        maker = Path(__file__).with_name("foreign.py")
        subprocess.run([sys.executable, maker, qemu, sdist, builds / "foreign.tar.zst"], check=True)
    (place / "fsscript.sh").write_text(FSSCRIPT)
    text = SPEC.replace("{place}", str(place))
    native = text.format(subarch="amd64", source="native", profile="plain")
    (place / "native.spec").write_text(native)
    foreign = text.format(subarch="arm64", source="foreign", profile="arm")
    (place / "foreign.spec").write_text(f"{foreign}interpreter: {qemu}\n")


def _add_to_tree(tree: Path) -> None:
    compiled = tree / "app-misc/compiled/compiled-1.ebuild"
    compiled.parent.mkdir()
    compiled.write_text(COMPILED)
    for file in tree.glob("*/*/*.ebuild"):
        file.write_text(file.read_text().replace('KEYWORDS="amd64"', 'KEYWORDS="amd64 arm64"'))
    (tree / "profiles/arch.list").write_text("amd64\narm64\n")
    for name, own in (("plain", ""), ("arm", 'ARCH="arm64"\nACCEPT_KEYWORDS="arm64"\n')):
        profile = tree / f"profiles/{name}"
        profile.mkdir()
        (profile / "eapi").write_text("8\n")
        (profile / "parent").write_text("../default\n")
        (profile / "packages").write_text("*app-misc/base\n")
        (profile / "make.defaults").write_text(own)


def tar(release: Release, cpu: str, *words: str) -> bytes:
    """What tar says of the tarball for a CPU."""
    packed = release.place / f"store/builds/small/stage4-{cpu}-{STAMP}.tar.zstd"
    argv = ["tar", "-I", "zstd", words[0], packed, *words[1:]]
    return subprocess.run(argv, check=True, capture_output=True).stdout


def test_a_source_of_another_cpu_builds_what_that_cpu_runs(release: Release) -> None:
    names, machines = [], []
    for spec, cpu in (("native", "amd64"), ("foreign", "arm64")):
        told = release.run(spec)
        assert told.returncode == 0, told.stderr
        program = tar(release, cpu, "-xOf", "./usr/bin/compiled")
        machines.append(struct.unpack("<H", program[18:20])[0])
        listed = tar(release, cpu, "-tf").decode().splitlines()
        names.append({name for name in listed if "var/db/pkg/app-misc" in name})
    assert machines == [62, 183]  # e_machine of the program that was compiled
    assert names[0] == names[1]
    assert tar(release, "amd64", "-xOf", "./etc/cpu") == b"x86_64\n"
    assert tar(release, "arm64", "-xOf", "./etc/cpu") == b"aarch64\n"
    assert "0 packages built, " in release.run("foreign").stdout


def test_the_interpreter_is_pinned(release: Release) -> None:
    pinned = read_lock(release.place / "foreign.lock").seeds["source"]
    assert isinstance(pinned, TreeSeed)
    assert len(pinned.interpreters) == 64


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("/usr/bin/true", "“/usr/bin/true” is not called qemu-CPU"),
        ("/nowhere/qemu-aarch64", "no such file: /nowhere/qemu-aarch64"),
    ],
)
def test_a_wrong_interpreter_is_refused(release: Release, value: str, what: str) -> None:
    told = release.run("foreign", "-C", f"interpreter={value}", "--update")
    assert told.returncode == 2, told.stderr
    assert what in told.stderr
