"""A project for freshroots: packages that are one file, one of which needs three others."""

from __future__ import annotations

from pathlib import Path

from tests.machine.tiny import PROJECT
from tests.support import Store, project

#: What each package depends on, and what its build does.
EBUILDS = {
    "one": "",
    "two": "",
    "tool": "",
    "configured": 'pkg_config() { echo "configured ${PF}"; }\n',
    "top": 'RDEPEND="tiny/leaf tiny/one tiny/two"\nDEPEND="tiny/one"\nBDEPEND="tiny/tool"\n'
    'IUSE="loud"\nsrc_compile() { tool || die; test ! -e /usr/share/two || die "not declared"; }\n',
    "slow": "src_compile() { sleep 600; }\n",
    "rival": 'more() { echo > "${ED}/usr/share/one"; echo > "${ED}/usr/bin/top"; }\n',
    "broken": 'src_compile() { die "it never builds"; }\n',
}
NEEDED = ("leaf", "one", "top", "two")  # in a root with top; the tool is only for its build
_EBUILD = """EAPI=8
DESCRIPTION="{name}"
HOMEPAGE="https://example.org/tiny"
S="${{WORKDIR}}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
{more}
src_install() {{
    insinto /usr/share
    newins - {name} <<< "this is {name}"
    newbin - {name} <<< "#!/bin/sh"
    if declare -F more; then more; fi
}}
"""


def place_for(store: Store) -> Path:
    """A copy of the project of tiny packages, with these, too."""
    place = project(store, PROJECT)
    for name, more in EBUILDS.items():
        file = place / f"repo/tiny/{name}/{name}-1.ebuild"
        file.parent.mkdir()
        file.write_text(_EBUILD.format(name=name, more=more))
    store.user.own(place)
    return place
