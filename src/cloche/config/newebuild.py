"""A first ebuild for a repository of the project (``cloche ebuild new``)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cloche.config.errors import ConfigError, Origin, unwritable

# PMS 3.1.1, 3.1.2 and 3.2, with the version at the end.
_NAME: Final = re.compile(
    r"(?P<category>[A-Za-z0-9_][A-Za-z0-9+_.-]*)/(?P<pn>[A-Za-z0-9_][A-Za-z0-9+_-]*?)"
    r"(?:-(?P<version>\d+(?:\.\d+)*[a-z]?(?:_(?:alpha|beta|pre|rc|p)\d*)*(?:-r\d+)?))?"
)
_EBUILD: Final = """\
# Distributed under the terms of the GNU General Public License v2

EAPI=8

# One line of less than 80 characters.
DESCRIPTION="{pn}"
HOMEPAGE="{homepage}"
{sources}
# The text of each licence is a file of the repository's licenses/.
LICENSE="{licence}"
SLOT="0"
# ~amd64 for what is not tried out yet; a machine then has to accept it.
KEYWORDS="amd64"

# What it needs when it runs, to link with, and to be built: atoms such as dev-libs/libfoo.
RDEPEND=""
DEPEND="${{RDEPEND}}"
BDEPEND=""

# Without functions of its own, Portage runs ./configure and make where they are there.
"""
_METADATA: Final = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE pkgmetadata SYSTEM "https://www.gentoo.org/dtd/metadata.dtd">
<pkgmetadata>
</pkgmetadata>
"""


def ebuild_text(pn: str, uris: Sequence[str], licence: str) -> str:
    """The ebuild of a package without or with sources."""
    if uris:
        parts = urlsplit(uris[0])
        homepage = f"{parts.scheme}://{parts.netloc}/"
        sources = 'SRC_URI="' + "\n\t".join(uris) + '"\n'
        sources += "# S is where they are unpacked, where that is not ${WORKDIR}/${P}.\n"
    else:
        homepage = "https://example.org/"
        sources = "# Nothing is downloaded, so that nothing is unpacked into ${WORKDIR}/${P}.\n"
        sources += 'S="${WORKDIR}"\n'
    return _EBUILD.format(pn=pn, homepage=homepage, sources=sources, licence=licence)


def new_ebuild(repo: Path, name: str, uris: Sequence[str], licence: str) -> tuple[Path, ...]:
    """Write the ebuild ``category/pn[-version]`` into a repository; give the files written.

    A category that is not declared is added, and a metadata.xml where there is none. Raises
    `ConfigError` where the ebuild is there already, `ConfigError`.
    """
    found = _NAME.fullmatch(name)
    for word in (*uris, licence):
        if not word or re.search(r"[\s\"'$`\\()]", word):
            raise ConfigError(Origin(repo), f"“{word}” cannot stand in an ebuild", "correct it")
    if found is None:
        raise ConfigError(
            Origin(repo), f"“{name}” is not CATEGORY/NAME-VERSION", "such as app-misc/hello-1.0"
        )
    category, pn, version = found["category"], found["pn"], found["version"] or "1"
    directory = repo / category / pn
    ebuild = directory / f"{pn}-{version}.ebuild"
    if ebuild.exists() or ebuild.is_symlink():
        raise ConfigError(Origin(ebuild), "there already", "choose another version")
    if directory.resolve() != repo.resolve() / category / pn:
        raise unwritable(directory, "a link leads elsewhere")
    files = {ebuild: ebuild_text(pn, uris, licence)}
    if not (directory / "metadata.xml").exists():
        files[directory / "metadata.xml"] = _METADATA
    categories = repo / "profiles/categories"
    try:
        known = categories.read_text() if categories.exists() else ""
        if category not in known.split():
            files[categories] = (
                known + ("\n" if known and known[-1] != "\n" else "") + category + "\n"
            )
        directory.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            path.write_text(text)
    except OSError as error:
        place = Path(error.filename or directory)
        raise unwritable(place, error.strerror or str(error)) from error
    return tuple(files)
