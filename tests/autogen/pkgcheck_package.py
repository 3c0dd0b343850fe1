"""A package of pkgcheck for the small tree: what pip fetches of it, in the form of a distfile.

Gentoo's own ebuild needs Gentoo's tree. The wheels are for Python 3.11, which bookworm has.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

from cloche.autogen.repository import source_of

CLONE = Path(__file__).resolve().parents[2]
NAMES = ("pkgcheck", "pkgcore", "tree-sitter", "tree-sitter-bash")
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_26_x86_64", "manylinux_2_28_x86_64")
EBUILD = """\
EAPI=8

DESCRIPTION="pkgcheck, with what it needs"
HOMEPAGE="https://example.org/"
SRC_URI="https://example.org/${P}.tar"
S="${WORKDIR}"

LICENSE="none"
SLOT="0"
KEYWORDS="amd64"
RESTRICT="strip"
QA_PREBUILT="*"

src_install() {
	cp -R usr "${ED}"/ || die
}
"""
PROGRAM = "#!/usr/bin/python3\nfrom pkgcheck.scripts import main\nmain()\n"


def write_pkgcheck(project: Path, room: Path) -> None:
    """Write ``dev-util/pkgcheck`` into the project's tree, a machine with it, and its distfile."""
    tree = room / "pkgcheck/usr"
    for wheel in _fetched(room / "wheels"):
        _unpack(wheel, tree)
    (tree / "bin").mkdir()
    (tree / "bin/pkgcheck").write_text(PROGRAM)
    (tree / "bin/pkgcheck").chmod(0o755)
    package = project / "repo/dev-util/pkgcheck"
    package.mkdir(parents=True)
    (project / "dist").mkdir(exist_ok=True)
    archive = project / "dist/pkgcheck-1.tar"
    with tarfile.open(archive, "w") as packed:
        packed.add(tree, "usr")
    (package / "pkgcheck-1.ebuild").write_text(EBUILD)
    source = source_of(archive)
    digests = " ".join(f"{kind} {digest}" for kind, digest in source.digests)
    (package / "Manifest").write_text(f"DIST {source.name} {source.size} {digests}\n")
    with (project / "repo/profiles/categories").open("a") as categories:
        categories.write("dev-util\n")
    machine = (project / "machines/py.toml").read_text()
    (project / "machines/checks.toml").write_text(
        machine.replace("dev-python/greet", "dev-util/pkgcheck")
    )
    with (project / "cloche.toml").open("a") as settings:
        settings.write('\n[build]\ndistfiles = "dist"\n')


def _fetched(place: Path) -> list[Path]:
    """The wheels, in the versions of this project's own checks."""
    extras = tomllib.loads((CLONE / "pyproject.toml").read_text())["project"]
    listed = [*extras["optional-dependencies"]["dev"]]
    wanted = [each for each in listed if each.startswith(NAMES)]
    platforms = [word for each in PLATFORMS for word in ("--platform", each)]
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:",
         "--python-version=3.11", *platforms, "--dest", place, *wanted],
        check=True,
    )  # fmt: skip
    return sorted(place.iterdir())


def _unpack(wheel: Path, tree: Path) -> None:
    """Unpack a wheel below /usr, as the specification of wheels says, with its modes."""
    site = tree / "lib/python3/dist-packages"
    with zipfile.ZipFile(wheel) as packed:
        for each in packed.infolist():
            head, _, rest = each.filename.partition(".data/data/")
            target = tree / rest if rest else site / each.filename
            if each.is_dir() or ".data/" in head:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with packed.open(each) as source, target.open("wb") as written:
                shutil.copyfileobj(source, written)
            target.chmod((each.external_attr >> 16) & 0o777 or 0o644)
