# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Has sources, and no Manifest yet"
HOMEPAGE="https://example.org/cases"
SRC_URI="HERE/a-1.txt extra? ( HERE/b.txt -> b-1.txt )"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
IUSE="extra"

src_install() {
	insinto /usr/share/sourced
	doins "${DISTDIR}"/a-1.txt
}
