"""The text of an ebuild, and of its metadata.xml (GLEP 68), as Gentoo's developers write them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

from cloche.autogen import marked
from cloche.autogen.dependencies import Dependency, lines
from cloche.autogen.errors import RefusedError
from cloche.autogen.package import Ebuild, Package

_CODE = re.compile(r"[\"`$\\\n]")

_HEADER = "# Distributed under the terms of the GNU General Public License v2"
IUSE_TEST = ('IUSE+=" test"', 'RESTRICT+=" !test? ( test )"')
"""What the eclass adds only to a package with pytest or dependencies at run time."""

_LONGEST = 80  # characters of DESCRIPTION that pkgcheck allows


def _check_words(ebuild: Ebuild) -> None:
    """See that what stands between quotation marks cannot end them or run something."""
    for text in (ebuild.license, ebuild.restrict or "", *ebuild.keywords, *ebuild.iuse):
        if _CODE.search(text):
            raise RefusedError(f"{text[:100]!r} cannot stand in an ebuild")


def ebuild_text(ebuild: Ebuild, own: Mapping[str, tuple[str, ...]]) -> str:
    """The ebuild, with the user's own lines. Raises `RefusedError` for words that are code."""
    _check_words(ebuild)
    parts = [
        ["EAPI=8"],
        list(ebuild.before),
        [f"inherit {' '.join(ebuild.inherit)}"] if ebuild.inherit else [],
        [f"DESCRIPTION={quoted(described(ebuild.description))}", *_homepage(ebuild.homepage)],
        list(ebuild.sources),
        [
            f'LICENSE="{ebuild.license}"',
            *ebuild.crate_licences,
            'SLOT="0"',
            f'KEYWORDS="{" ".join(ebuild.keywords)}"',
            *([f'IUSE="{" ".join(ebuild.iuse)}"'] if ebuild.iuse else []),
            *([f'RESTRICT="{ebuild.restrict}"'] if ebuild.restrict else []),
        ],
        [
            *_variable("RDEPEND", ebuild.rdepend),
            *(
                ['DEPEND="${RDEPEND}"']
                if ebuild.depend and ebuild.depend == ebuild.rdepend
                else _variable("DEPEND", ebuild.depend)
            ),
            *_variable("BDEPEND", ebuild.bdepend),
        ],
        marked.block("variables", own),
        list(ebuild.after),
        marked.block("phases", own),
    ]
    found = [_HEADER]
    for part in filter(None, parts):
        found += ["", *part]
    return marked.sealed(found, 1)


def quoted(text: str) -> str:
    """A text in double quotes, which bash does not expand."""
    return '"' + re.sub(r'(["$`\\])', r"\\\1", _plain(text)) + '"'


def described(text: str) -> str:
    """A summary as DESCRIPTION: one short line without a full stop at its end."""
    line = _plain(text).strip()
    if len(line) > _LONGEST:
        line = line[: _LONGEST + 1].rpartition(" ")[0] or line[:_LONGEST]
    return line.rstrip(" .,;:-") or "No description"


def _plain(text: str) -> str:
    """One line without control characters."""
    return "".join(c for c in re.sub(r"\s+", " ", text) if c.isprintable())


def _homepage(addresses: Sequence[str]) -> list[str]:
    if len(addresses) == 1:
        return [f"HOMEPAGE={quoted(addresses[0])}"]
    return ['HOMEPAGE="', *(f"\t{quoted(each)[1:-1]}" for each in addresses), '"']


def _variable(name: str, wanted: Sequence[Dependency]) -> list[str]:
    return [f'{name}="', *lines(wanted), '"'] if wanted else []


def metadata_text(package: Package) -> str:
    """metadata.xml of a package."""
    found = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<!DOCTYPE pkgmetadata SYSTEM "https://www.gentoo.org/dtd/metadata.dtd">',
        "<pkgmetadata>",
        *_maintainers(package),
    ]
    if package.flags:
        found.append("\t<use>")
        for name, what in package.flags:
            found.append(f"\t\t<flag name={quoteattr(name)}>{escape(_plain(what))}</flag>")
        found.append("\t</use>")
    if package.remote_ids:
        found.append("\t<upstream>")
        for kind, name in package.remote_ids:
            found.append(f"\t\t<remote-id type={quoteattr(kind)}>{escape(name)}</remote-id>")
        found.append("\t</upstream>")
    return "\n".join([*found, "</pkgmetadata>", ""])


def _maintainers(package: Package) -> Iterator[str]:
    if not package.maintainers:
        yield "\t<!-- maintainer-needed -->"
    for each in package.maintainers:
        yield '\t<maintainer type="person">'
        yield f"\t\t<email>{escape(_plain(each.email))}</email>"
        if each.name:
            yield f"\t\t<name>{escape(_plain(each.name))}</name>"
        yield "\t</maintainer>"
