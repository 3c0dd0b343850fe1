"""cloche's own ebuild in a project: the overlay as `make dist` writes it, and what it needs.

Gentoo's repository is not available here. Another repository called `gentoo` replaces it: it has
eclasses written for these tests (`projects/itself`), the seed's Python, and an ebuild for each
wheel that pip finds for the dependencies.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

from tests.support import OWN, ROOT, Store, project

PROJECT = Path(__file__).parent / "projects/itself"
#: What the ebuild names, and what builds it.
NEEDED = ("click>=8.1", "gemato>=20", "msgspec>=0.19", "requests>=2.31", "hatchling", "installer")
CATEGORIES = {"gemato": "app-portage"}  # the others are in dev-python
EBUILD = """\
# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DISTUTILS_USE_PEP517=no
PYTHON_COMPAT=( python3_11 )
inherit distutils-r1

DESCRIPTION="{name}, as a wheel"
HOMEPAGE="https://example.org/itself"
SRC_URI="https://example.org/itself/{file}"
S="${{WORKDIR}}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

RDEPEND+="
{needs}"

src_unpack() {{ :; }}

python_compile() {{
	{path}distutils_wheel_install "${{BUILD_DIR}}/install" "${{DISTDIR}}/{file}"
}}
"""


def prepared(store: Store, dist: Path) -> Path:
    """The project with what `scripts/dist` wrote to ``dist``. Needs the index of pip."""
    place = project(store, PROJECT)
    shutil.copytree(OWN / "repo", place / "own")
    shutil.copytree(dist / "gentoo", place / "overlay")
    write_eclasses(place / "repo/eclass")
    distfiles = place / "distfiles"
    distfiles.mkdir()
    (sdist,) = dist.glob("*.tar.gz")
    shutil.copy(sdist, distfiles)
    download(distfiles)
    for wheel in distfiles.glob("*.whl"):
        write_ebuild(place / "repo", wheel)
    for ebuild in (*place.glob("own/*/*/*.ebuild"), *place.glob("repo/dev-lang/*/*.ebuild")):
        (ebuild.parent / "Manifest").touch()
    return store.user.own(place)


def write_eclasses(target: Path) -> None:
    """Write eclasses with the names of those of Gentoo's that the overlay inherits."""
    shutil.copytree(PROJECT / "repo/eclass", target, dirs_exist_ok=True)
    live = (ROOT / "tests/cases/live/repo/eclass/git-live.eclass").read_text()
    (target / "git-r3.eclass").write_text(live.replace("git-live", "git-r3"))


def download(target: Path) -> None:
    """Fetch wheels for the seed's Python, which may differ from that of the tests."""
    words = ("-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--dest", target)
    platforms = ("manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux_2_28_x86_64")
    kinds = ("--only-binary=:all:", "--implementation=cp", "--python-version=3.11")
    each = [f"--platform={name}" for name in platforms]
    subprocess.run([sys.executable, *words, *kinds, *each, *NEEDED], check=True)


def write_ebuild(repo: Path, wheel: Path) -> None:
    """Write the ebuild and the Manifest of a wheel."""
    described = metadata(wheel)
    name, version = normal(described["Name"]), described["Version"].replace(".post", "_p")
    place = repo / CATEGORIES.get(name, "dev-python") / name
    place.mkdir(parents=True)
    needs = "".join(f"\t{each}[${{PYTHON_USEDEP}}]\n" for each in required(described))
    path = 'local -x PYTHONPATH="${DISTDIR}/${A}"\n\t' if name == "installer" else ""
    text = EBUILD.format(name=name, file=wheel.name, needs=needs, path=path)
    (place / f"{name}-{version}.ebuild").write_text(text)
    digest = hashlib.blake2b(wheel.read_bytes()).hexdigest()
    manifest = f"DIST {wheel.name} {wheel.stat().st_size} BLAKE2B {digest}\n"
    (place / "Manifest").write_text(manifest)


def metadata(wheel: Path) -> Message:
    """The METADATA of a wheel."""
    with ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        return HeaderParser().parsestr(archive.read(name).decode())


def required(described: Message) -> list[str]:
    """The packages that a wheel needs on Python 3.11, without its extras."""
    lines = described.get_all("Requires-Dist", [])
    needed = [line for line in lines if ";" not in line]
    names = [normal(re.split(r"[^\w.-]", line)[0]) for line in needed]
    return [f"{CATEGORIES.get(name, 'dev-python')}/{name}" for name in names]


def normal(name: str) -> str:
    """The name as Gentoo writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()
