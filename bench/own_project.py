"""The workbench with a root of its own: what is added to its project, and the other side."""

from __future__ import annotations

import shutil
from pathlib import Path

from bench.place import ROOT

#: Ebuilds that make a C library, a compiler's libraries and a shell of the seed's files.
REPOSITORY = ROOT / "tests/machine/projects/own/repo"
TOOLCHAIN = ("sys-libs/glibc", "sys-devel/gcc", "app-shells/dash", "app-shells/bash")
#: What scripts of the workbench run.
BASH = """\
EAPI=8
inherit of-the-seed
DESCRIPTION="Bash of the seed, and env"
HOMEPAGE="https://example.org/"
RDEPEND="sys-libs/glibc"

src_install() {
	install_of_seed bash libtinfo6
	dobin /usr/bin/env
}
"""


def own_root(project: Path, machine: str) -> None:
    """Give a machine of the project a root of its own."""
    others = shutil.ignore_patterns("app-arch", "app-misc", "dev-*", "virtual")
    shutil.copytree(REPOSITORY, project / "own", ignore=others)
    bash = project / "own/app-shells/bash"
    bash.mkdir()
    (bash / "bash-5.2.ebuild").write_text(BASH)
    with (project / "cloche.toml").open("a") as declared:
        declared.write('\n[repos.own]\npath = "own"\n')
    file = project / "machines" / f"{machine}.toml"
    atoms = ", ".join(f'"{name}"' for name in TOOLCHAIN)
    text = file.read_text().replace("packages = [", f"packages = [{atoms}, ")
    file.write_text(f'root = "own"\n{text}')
