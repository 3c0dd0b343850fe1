"""Where the seed has what a root lacks."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import values

from cloche.building.bringers import dev_names, in_seed, seed_names
from cloche.building.context import Repo
from cloche.config.lock import RepoPin
from cloche.store import Store


def test_a_program_is_not_a_directory_of_its_name(tmp_path: Path) -> None:
    """Debian has /usr/lib/TRIPLET/perl and /usr/lib/TRIPLET/ruby for modules."""
    triplet = "usr/lib/x86_64-linux-gnu"
    files = (f"{triplet}/perl/5.36/B.pm", f"{triplet}/ruby/x.so", f"{triplet}/libz.so.1")
    with Store.open(tmp_path / "store") as store:
        programs = dict.fromkeys((*files, "usr/bin/perl", "usr/bin/python3"), "")
        seed = values.stored(store, "seed", "seed", **programs)
        context = values.context(store, own_root=True, base=(seed,))
        assert in_seed(context, "perl") == "/usr/bin/perl"
        assert in_seed(context, "ruby") is None
        assert in_seed(context, "libz.so.1") == f"/{triplet}/libz.so.1"
        assert in_seed(context, "/usr/bin/python3") == "/usr/bin/python3"


@pytest.mark.parametrize(
    ("library", "dev"),
    [
        ("zlib1g", "zlib1g-dev"),
        ("libbz2-1.0", "libbz2-dev"),
        ("libpcre2-8-0", "libpcre2-dev"),
        ("liblzma5", "liblzma-dev"),
        ("libattr1", "libattr1-dev"),
    ],
)
def test_a_library_has_a_dev_package_of_its_name(library: str, dev: str) -> None:
    assert dev in set(dev_names(library))


STATUS = """Package: {name}
Status: install ok installed
Architecture: amd64
Version: 1:1.2.13
"""


@pytest.mark.parametrize(
    ("debian", "soname", "gentoo"),
    [
        ("zlib1g", "libz.so.1", "sys-libs/zlib"),
        ("libssl3", "libssl.so.3", "dev-libs/openssl"),  # its rule is openssl's, with libssl-dev
        ("libother1", "libother.so.1", None),
    ],
)
def test_a_library_of_the_seed_has_gentoos_name_without_its_dev_package(
    tmp_path: Path, debian: str, soname: str, gentoo: str | None
) -> None:
    with Store.open(tmp_path / "store") as store:
        files = {
            "var/lib/dpkg/status": STATUS.format(name=debian),
            f"var/lib/dpkg/info/{debian}:amd64.list": f"/usr/lib/x86_64-linux-gnu/{soname}\n",
            **dict.fromkeys(("etc/passwd", "etc/group"), ""),
        }
        seed = values.stored(store, "seed", "seed", **files)
        for name in ("sys-libs/zlib", "dev-libs/openssl"):
            (tmp_path / "repo" / name).mkdir(parents=True)
        repo = Repo("r", RepoPin("directory", "ab"), tmp_path / "repo")
        context = values.context(store, own_root=True, base=(seed,), repos={"r": repo})
        wanted = () if gentoo is None else (gentoo,)
        assert seed_names(context, [soname]) == {soname: wanted}
