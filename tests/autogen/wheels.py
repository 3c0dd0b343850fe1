"""Small ebuilds of wheels: for what the sixty packages need and cannot be built here.

Upstream's own build is installed, as Gentoo does it in packages called -bin, so that it is only
there for those who declare it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from cloche.autogen.pypi.index import File, Index
from cloche.autogen.pypi.versions import gentoo_version
from cloche.autogen.repository import source_of

_FITS = re.compile(
    r"-(?:cp313-cp313|cp3\d+-abi3|(?:py2\.)?py3-none)-(?:any|\S*manylinux\S*x86_64)\.whl"
)
EBUILD = """\
# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Upstream's own build of {name}"
HOMEPAGE="https://example.org/"
SRC_URI="https://example.org/{file}"
S="${{WORKDIR}}"

LICENSE="none"
SLOT="0"
KEYWORDS="amd64"
IUSE="python_targets_python3_13"
REQUIRED_USE="python_targets_python3_13"
RESTRICT="strip"
RDEPEND="dev-lang/python:3.13 {needs}"
BDEPEND="dev-lang/python:3.13"
QA_PREBUILT="*"

src_unpack() {{
	python3.13 -m zipfile -e "${{DISTDIR}}/${{A}}" wheel || die
}}

src_install() {{
	local each
	for each in wheel/*.data/scripts/*; do
		[[ -e ${{each}} ]] && dobin "${{each}}"
	done
	rm -rf wheel/*.data || die
	insinto /usr/local/lib/python3.13/dist-packages
	doins -r wheel/.
}}
"""


def fitting(files: Sequence[File], version: str | None) -> File:
    """The newest wheel for Python 3.13 on amd64, or that of a version."""
    usable = [
        each
        for each in files
        if _FITS.search(each.name) and each.yanked is None and not each.version.is_prerelease
    ]
    chosen = [each for each in usable if version is None or str(each.version) == version]
    return max(chosen, key=lambda each: each.version)


def write_ebuild(repository: Path, distdir: Path, index: Index, entry: Mapping[str, str]) -> Path:
    """Fetch a wheel, and write its ebuild with a Manifest. Raises `ClocheError`."""
    name, needs = entry["name"], entry.get("needs", "")
    file = fitting(index.page(name).files, entry.get("version"))
    place = repository / entry.get("category", "dev-python") / name
    path = place / f"{name}-{gentoo_version(file.version)}.ebuild"
    wheel = index.fetch(file, distdir)
    place.mkdir(parents=True, exist_ok=True)
    source = source_of(wheel)
    digests = " ".join(f"{kind} {digest}" for kind, digest in source.digests)
    lines = {f"DIST {source.name} {source.size} {digests}\n"}
    manifest = place / "Manifest"
    if manifest.exists():
        lines |= set(manifest.read_text().splitlines(keepends=True))
    manifest.write_text("".join(sorted(lines)))
    path.write_text(EBUILD.format(name=name, file=wheel.name, needs=needs))
    return path
