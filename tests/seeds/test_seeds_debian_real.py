"""Two real bootstraps, on a host that differs in between, give one seed: about a minute."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support import cannot

from cloche.config import lock, lock_entries
from cloche.config.lock import DebianSeed
from cloche.layers import commit, stored_layer
from cloche.sandbox.base import Command, Sandbox
from cloche.sandbox.native import NativeEngine
from cloche.seeds.debian import apt, seed
from cloche.seeds.errors import SeedError
from cloche.seeds.parts.derived import strict_parts
from cloche.store import Store

pytestmark = pytest.mark.real


@pytest.mark.proof(name="seeds")
def test_two_bootstraps_are_one_seed(tmp_path: Path) -> None:
    """In a process of its own: an engine wants to be made without threads of other tests."""
    if shutil.which("mmdebstrap") is None:
        cannot("mmdebstrap is not installed")
    if os.geteuid() != 0:
        cannot("a seed is made as uid 0, of a user namespace at least")
    code = "import sys, pathlib; from tests.seeds import test_seeds_debian_real as t"
    subprocess.run(
        [sys.executable, "-c", f"{code}; t.bootstrap_twice(pathlib.Path(sys.argv[1]))", tmp_path],
        cwd=Path(__file__).parents[2],
        check=True,
    )


def bootstrap_twice(tmp_path: Path) -> None:
    mirror = apt.find_mirror("bookworm")
    with NativeEngine() as engine:
        means = seed.BootstrapContext(engine, mirror, tmp_path / "cache", tmp_path / "log")
        with Store.open(tmp_path / "one") as store:
            first = made(store, means)
            tools_are_hidden(engine, store, first.layer)
            ebuilds_find_what_they_count_on(engine, store, first.layer)
            with pytest.raises(SeedError, match="jq is asked for"):
                made(store, means, first, packages=(*seed.SeedSpec().packages, "jq"))
        shutil.rmtree(tmp_path / "one")

        os.environ |= {"TZ": "Asia/Tokyo", "LC_ALL": "de_DE.UTF-8", "TMPDIR": "/nonexistent"}
        os.chdir("/")
        os.umask(0o077)
        with Store.open(tmp_path / "two") as store:
            assert made(store, means, first) == first
    assert mirror.uri not in lock.render(lock_entries.with_seed(lock.Lock(), "default", first))


def made(
    store: Store,
    means: seed.BootstrapContext,
    locked: DebianSeed | None = None,
    packages: tuple[str, ...] = seed.SeedSpec().packages,
) -> DebianSeed:
    with store.workspace("seed") as room:
        spec = seed.SeedSpec(packages=packages)
        result = seed.make_tree(spec, room, means, locked=locked)
        layer = commit(store, result.tree, kind="seed", label="default")
    return replace(result.lock, layer=layer.id)


def tools_are_hidden(engine: NativeEngine, store: Store, layer: str) -> None:
    """The seed compiles and has Portage, as strict builds see it too; bison is a part."""
    seed = stored_layer(store, layer)
    parts = strict_parts(store, seed, {})
    declared = parts.visible(["bison"])
    work = "python -c 'import portage' && echo 'int main;' | gcc -c -xc - -o /dev/null"
    bison = "bison --version && yacc --version"
    assert status(engine, (seed.path,), f"{work} && {bison}") == 0
    assert status(engine, (parts.ground.path,), work) == 0
    assert status(engine, (parts.ground.path,), "command -v bison || command -v yacc") == 127
    assert status(engine, (parts.ground.path, *(p.path for p in declared)), bison) == 0


def ebuilds_find_what_they_count_on(engine: NativeEngine, store: Store, layer: str) -> None:
    """Links to NAME-reference, python-exec, install-xattr, Python's layout for packages."""
    tree = (store.tree(layer).path,)
    for words in (
        "test -h /bin/gzip && test -x /bin/gzip-reference",
        "gzip < /etc/hosts | gunzip | cmp - /etc/hosts",
        "cd /tmp && ln -s /usr/lib/python-exec/python-exec2 python3 && ./python3 -c pass",
        "test $(portageq envvar DEB_PYTHON_INSTALL_LAYOUT) = deb",
        "install-xattr -m 600 /etc/hosts /tmp/hosts && test -s /tmp/hosts",
    ):
        assert status(engine, tree, words) == 0, words


def status(engine: NativeEngine, lowers: tuple[Path, ...], words: str) -> int:
    command = Command(("/bin/sh", "-c", words), env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    ended = engine.start(Sandbox(lowers), command).wait()
    assert ended is not None
    return ended.status
