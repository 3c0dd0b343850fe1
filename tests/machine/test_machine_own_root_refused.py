"""Bad input is refused before anything is built for a root of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from own import TOML, prepared
from tests.support import Store

pytestmark = pytest.mark.real


@dataclass(frozen=True)
class Bare:
    """The project, and a store that only has its seed."""

    store: Store
    place: Path


@pytest.fixture(scope="module")
def bare(root_seeded: Store, ground: Path) -> Iterator[Bare]:
    """The project with a store of its own."""
    parent = ground / "own-refused"
    parent.mkdir()
    store = root_seeded.copy(parent / "store")
    yield Bare(store, prepared(store))
    shutil.rmtree(parent)


@pytest.mark.parametrize(
    ("more", "key"),
    [('chost = "aarch64-unknown-linux-gnu"', "chost"), ("[output]\nportage = false", "portage")],
)
def test_keys_of_a_root_of_its_own_are_refused_elsewhere(bare: Bare, more: str, key: str) -> None:
    toml = TOML.format(atoms=["app-misc/greet"], more=more).replace('root = "own"\n', "")
    (bare.place / "machines/wrong.toml").write_text(toml)
    told = bare.store.cloche("plan", "wrong", cwd=bare.place)
    assert told.returncode == 2
    assert f"“{key}” only has an effect with a root of its own" in told.stderr
    (bare.place / "machines/wrong.toml").unlink()


def test_a_root_without_a_c_library_is_refused_before_anything_is_built(bare: Bare) -> None:
    ebuild = bare.place / "repo/dev-libs/leaf/leaf-1.ebuild"
    alone = ebuild.parent / "leaf-2.ebuild"
    alone.write_text(ebuild.read_text().replace('RDEPEND="sys-libs/glibc"', ""))
    toml = TOML.format(atoms=["=dev-libs/leaf-2"], more="")
    (bare.place / "machines/bare.toml").write_text(toml)
    told = bare.store.cloche("build", "bare", cwd=bare.place)
    alone.unlink()
    assert told.returncode == 2
    assert "machine bare: its root of its own gets no C library" in told.stderr
    assert "sys-libs/glibc" in told.stderr


def test_a_root_without_packages_is_refused(bare: Bare) -> None:
    toml = TOML.format(atoms=[], more='sets = ["system"]')
    (bare.place / "machines/empty.toml").write_text(toml)
    told = bare.store.cloche("build", "empty", cwd=bare.place)
    assert told.returncode == 2
    assert "machine empty: its root of its own gets no packages; name packages" in told.stderr
    assert "(own:default lists none)" in told.stderr
    assert not (bare.place / "out/empty").exists()


def test_a_c_library_that_is_newer_than_the_seeds_is_warned_of(bare: Bare) -> None:
    ebuild = bare.place / "repo/sys-libs/glibc/glibc-2.36.ebuild"
    newer = shutil.copy(ebuild, ebuild.with_name("glibc-9.ebuild"))
    told = bare.store.cloche("plan", "own", cwd=bare.place, check=True)
    newer.unlink()
    assert "warning: sys-libs/glibc-9 is newer than the seed's (2.36): builds that" in told.stderr
    told = bare.store.cloche("plan", "own", cwd=bare.place, check=True)
    assert "newer" not in told.stderr


def test_a_profile_for_another_cpu_needs_a_chost(bare: Bare) -> None:
    other = bare.place / "repo/profiles/other"
    shutil.copytree(bare.place / "repo/profiles/default", other)
    defaults = other / "make.defaults"
    chost = 'CHOST="riscv64-unknown-linux-gnu"\n'
    defaults.write_text(defaults.read_text() + chost)
    toml = TOML.format(atoms=["app-misc/greet"], more="").replace("own:default", "own:other")
    (bare.place / "machines/board.toml").write_text(toml)
    told = bare.store.cloche("build", "board", cwd=bare.place)
    assert told.returncode == 2
    (line,) = told.stderr.splitlines()[-1:]
    assert "machine board: its profile is for riscv (CHOST riscv64-unknown-linux-gnu), its" in line
    assert 'add `chost = "riscv64-unknown-linux-gnu"` and use a seed with a compiler for' in line
    assert not (bare.place / "out/board").exists()
