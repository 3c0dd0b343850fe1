"""What a run writes is what Gentoo's own QA has no error to find in."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.autogen.crates import Registry, manifest
from tests.autogen.forge import NAME
from tests.autogen.overlay import Overlay
from tests.autogen.published import tarball

TREE = Path(__file__).parent / "project/repo"
# setuptools-rust is not in the small tree; a backend of its own needs nothing of the eclass.
STANDALONE = '[build-system]\nrequires = []\nbuild-backend = "setuptools_rust.own"\n'
PYTHON = """\
EAPI=8

DESCRIPTION="Stands for a package of the main repository"
HOMEPAGE="https://example.org"
S="${WORKDIR}"

LICENSE="MIT"
SLOT="%s"
KEYWORDS="~amd64"
IUSE="python_targets_python3_11 python_targets_python3_13"
"""

# As Gentoo's reads the variables; nothing is fetched from these addresses.
CARGO = """\
# @ECLASS: cargo.eclass
# @MAINTAINER:
# The cloche authors
# @SUPPORTED_EAPIS: 8
# @BLURB: stands for Gentoo's eclass of this name

CARGO_CRATE_URIS=
for crate in ${CRATES}; do
	CARGO_CRATE_URIS+=" https://crates.example.org/${crate/@//} -> ${crate/@/-}.crate"
done
for crate in "${!GIT_CRATES[@]}"; do
	IFS=";" read -r address commit _ <<< "${GIT_CRATES[${crate}]}"
	CARGO_CRATE_URIS+=" ${address}/archive/${commit}.tar.gz -> ${address##*/}-${commit}.gh.tar.gz"
done
unset crate address commit
"""


def main_repository(place: Path) -> None:
    shutil.copytree(TREE, place)
    (place / "profiles/use.desc").write_text("debug - Debug\ntest - Run tests\n")
    (place / "licenses").mkdir()
    (place / "eclass/cargo.eclass").write_text(CARGO)
    for name in ("MIT", "GPL-2+", "Apache-2.0", "BSD"):
        (place / "licenses" / name).write_text("Do what it says.\n")
    for cpv, slot in (("dev-lang/python-3.11.9", "3.11"), ("dev-lang/python-3.13.2", "3.13"),
                      ("dev-python/hatchling-1", "0"),
                      ("dev-python/pytest-9", "0"), ("dev-python/requests-2.30", "0")):  # fmt: skip
        directory = place / cpv.rpartition("-")[0]
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{cpv.partition('/')[2]}.ebuild").write_text(PYTHON % slot)


def scan(room: Path, repository: Path) -> tuple[int, list[dict[str, str]]]:
    """The exit status, 1 for errors; and all that was found."""
    etc = room / "etc"
    etc.mkdir(exist_ok=True)
    (etc / "make.conf").touch()
    (etc / "make.profile").unlink(missing_ok=True)
    (etc / "make.profile").symlink_to(room / "gentoo/profiles/default")
    sections = f"[gentoo]\nlocation = {room / 'gentoo'}\n[mine]\nlocation = {repository}\n"
    (etc / "repos.conf").write_text(f"[DEFAULT]\nmain-repo = gentoo\n{sections}")
    done = subprocess.run(
        [Path(sys.executable).parent / "pkgcheck", "--config", etc, "scan", "--exit=error",
         "--reporter=JsonStream", "-r", "mine"],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(room)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    assert not done.stderr, done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_pkgcheck_finds_no_error_in_what_a_run_writes(overlay: Overlay) -> None:
    main_repository(overlay.room / "gentoo")
    layout = overlay.repository / "metadata/layout.conf"
    layout.write_text("masters = gentoo\nthin-manifests = true\n")
    (overlay.repository / "profiles/repo_name").write_text("mine\n")
    (overlay.repository / "profiles/eapi").write_text("8\n")
    overlay.index.release(
        "alpha", "1.0", "Requires-Python: >=3.11", "Requires-Dist: requests>=2,<3",
        'Requires-Dist: beta; extra == "more"', "Provides-Extra: more",
        "Project-URL: Source, https://github.com/larry/alpha",
        files={"tests/test_it.py": "def test_it(): pass\n"},
    )  # fmt: skip
    overlay.index.release("beta", "2.0rc1", "Requires-Python: >=3.11", "Requires-Dist: gamma")
    overlay.index.release("gamma", "3", "License-Expression: MIT OR Apache-2.0")
    crates = Registry(overlay.index)
    crates.add("serde", "1.0.200")
    crates.commit(overlay.room / "dist", "inner")
    overlay.index.release(
        "delta", "4.1", "Requires-Python: >=3.11", tag="cp311-cp311-manylinux_x86_64",
        files={"pyproject.toml": STANDALONE, "Cargo.lock": crates.lock,
               "Cargo.toml": manifest("hello", "1.2.0")},
    )  # fmt: skip
    overlay.forge.release("v1.2")
    configure = "AC_INIT\n"
    files = {"configure": "#!/bin/sh\n", "configure.ac": configure, "Makefile.in": ""}
    overlay.forge.asset("v1.2", "hello-1.2.tar.gz", tarball("hello-1.2", files))
    overlay.list(
        f"""
        repos = ["gentoo"]
        maintainers = ["Larry the Cow <larry@example.org>"]
        [pypi.alpha]
        [pypi.beta]
        deps = true
        prereleases = true
        [pypi.delta]
        [github."{NAME}"]
        """
    )
    assert set(overlay.results("--crates-url", crates.address).values()) == {"new"}
    written = {"alpha-1.0", "beta-2.0_rc1", "delta-4.1", "gamma-3", "hello-1.2"}
    assert overlay.ebuilds() == written
    status, found = scan(overlay.room, overlay.repository)
    assert status == 0, json.dumps(found, indent=1)
    (overlay.repository / "dev-python/gamma/gamma-3.ebuild").write_text("EAPI=8\n")
    status, found = scan(overlay.room, overlay.repository)
    assert status == 1
    assert "gamma" in {each.get("package") for each in found}  # it has looked
