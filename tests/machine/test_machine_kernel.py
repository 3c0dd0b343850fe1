"""A machine's kernel: its configuration is checked before anything is compiled."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernels import machine, prepared
from tests.support import Store

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def store(root_seeded: Store, ground: Path) -> Iterator[Store]:
    """A store of this module's own."""
    parent = ground / "kernel-store"
    parent.mkdir()
    yield root_seeded.copy(parent / "store")
    shutil.rmtree(parent)


@pytest.fixture(scope="module")
def place(store: Store) -> Path:
    """A project whose kernel's sources can be configured, and no more."""
    return prepared(store, compiles=False)


def test_an_option_that_is_not_there_ends_the_build_before_the_compile(
    store: Store, place: Path
) -> None:
    (place / "kernel/wrong.config").write_text("CONFIG_TTY=y\nCONFIG_SERIAL_8520=y\n")
    name = machine(place, "wrong", "kernel/wrong.config")
    done = store.cloche("build", name, cwd=place)
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert "kernel/wrong.config:2: this kernel has no option CONFIG_SERIAL_8520" in last
    assert "did you mean CONFIG_SERIAL_8250?" in last


def test_an_option_that_does_not_survive_is_named_with_what_it_needs(
    store: Store, place: Path
) -> None:
    (place / "kernel/deep.config").write_text("# Without NET.\nCONFIG_INET=y\n")
    name = machine(place, "deep", "kernel/deep.config")
    done = store.cloche("build", name, cwd=place)
    assert done.returncode == 2, done.stderr
    assert "kernel/deep.config:2: CONFIG_INET is “n”, not “y”" in done.stderr.splitlines()[-1]


def test_sources_that_no_repository_has_are_named_with_their_line(
    store: Store, place: Path
) -> None:
    machine(place, "none")
    file = place / "machines/none.toml"
    file.write_text(file.read_text().replace("tiny-sources", "huge-sources"))
    done = store.cloche("plan", "none", cwd=place)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()[-1:]
    assert "machines/none.toml:8: no package of the repositories matches" in line
