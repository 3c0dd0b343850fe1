# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A source that has to be bought"
HOMEPAGE="https://example.org/cloche"
SRC_URI="https://example.org/manual-1.bin"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
RESTRICT="fetch"

pkg_nofetch() {
	einfo "Buy ${A} at https://example.org/shop"
	einfo "and put it into ${DISTDIR}"
}

src_unpack() { :; }

src_install() {
	insinto /usr/share/manual
	doins "${DISTDIR}"/manual-1.bin
}
