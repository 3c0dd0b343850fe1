"""Invariants 3 and 4: the same inputs give the same bytes, on whatever host, for whatever user.

So it is for machines over a seed, and for those with a root of their own.
Every build here starts from nothing but a seed, so a build that gave other bytes at random would
fail these tests as well.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
from tests.support import Root, Store, project

pytestmark = pytest.mark.real

# Another host name, another umask, one processor instead of all.
ELSEWHERE = (
    "unshare", "--uts", "taskset", "--cpu-list", "0",
    "sh", "-c", 'hostname elsewhere && umask 077 && exec "$@"', "sh",
)  # fmt: skip
ENVIRONMENT = {
    "CC": "false",
    "CFLAGS": "-O3 -DFROM_THE_HOST",
    "CPPFLAGS": "-I/usr/include/nowhere",
    "EPREFIX": "/nowhere",
    "FEATURES": "test splitdebug",
    "FOO": "bar",
    "HOSTNAME": "elsewhere",
    "LANG": "de_DE.UTF-8",
    "LC_ALL": "tr_TR.UTF-8",
    "LD_LIBRARY_PATH": "/nowhere",
    "MAKEFLAGS": "--keep-going --jobs=7",
    "MAKEOPTS": "-j7",
    "PKGDIR": "/nowhere",
    "PORTAGE_NICENESS": "3",
    "PORTAGE_TMPDIR": "/nowhere",
    "PORTDIR_OVERLAY": "/nowhere",
    "PYTHONHASHSEED": "42",
    "ROOT": "/nowhere",
    "SOURCE_DATE_EPOCH": "1",
    "TZ": "Asia/Tokyo",
    "USE": "long",
}


@pytest.fixture(scope="module")
def here(root_seeded: Store, root_of: Root) -> tiny.Build:
    return tiny.built_once(root_seeded, root_of)


@pytest.fixture
def header_of_the_host() -> Iterator[None]:
    """A header where this host's compiler would find it, of the name that tiny/leaf looks for."""
    header = Path("/usr/include/cloche-host.h")
    header.parent.mkdir(exist_ok=True)
    header.write_text("")
    try:
        yield
    finally:
        header.unlink()


def same(one: tiny.Build, other: tiny.Build, root: Root) -> bool:
    """Compare ids of layers, then all that was delivered: binary packages and the tarball."""
    packages = tiny.packages_in(root)
    assert one.layers.keys() == packages
    assert other.packages("built") == packages
    assert other.layers == one.layers
    assert "stage4.tar.zst" in one.delivered
    delivered = [name for name in packages if not name.endswith("@broot")]
    assert len(one.delivered) == len(delivered) + 1
    assert other.delivered == one.delivered
    return True


@pytest.mark.usefixtures("header_of_the_host")
def test_nothing_of_the_host_shows_in_what_is_built(
    here: tiny.Build, root_of: Root, root_seeded, fresh
) -> None:
    store = fresh(root_seeded)
    place = tiny.place_for(store, root_of)
    subprocess.run(["chmod", "-R", "go=", place], check=True)  # as a clone under that umask has it
    there = tiny.build(
        store, place, "--jobs", "1", prefix=ELSEWHERE, env=ENVIRONMENT, cwd=Path("/")
    )
    assert same(here, there, root_of)


def test_what_portage_would_do_in_vain_changes_nothing(root_seeded, fresh) -> None:
    """With a bashrc, which might see every shell of Portage's, no start of one is left out."""
    here = tiny.built_once(root_seeded)
    store = fresh(root_seeded)
    place = project(store, tiny.PROJECT)
    (place / "portage/base/bashrc").write_text(": a command that does nothing\n")
    there = tiny.build(store, place)
    assert there.packages("built") == tiny.PACKAGES
    assert there.layers == here.layers


def test_an_ordinary_user_gets_what_root_gets(
    here: tiny.Build, root_of: Root, ordinary_seeded: Store
) -> None:
    assert same(here, tiny.built_once(ordinary_seeded, root_of), root_of)


def test_the_package_that_tells_of_its_host_had_nothing_to_tell(here: tiny.Build) -> None:
    """The report is what makes the two tests above say something."""
    told = here.store.cloche(
        "shell", "tiny", "--", "cat", "/usr/share/report", cwd=here.project, check=True
    )
    lines = told.stdout.splitlines()
    assert lines[0].endswith("nothing of the host")
    assert lines[1].startswith("host localhost, uid=250(portage)")
    assert "umask 0022, zone UTC" in lines[1]
    assert "FOO= LANG= LC_ALL= TZ=UTC CFLAGS=-O1 -pipe" in lines
