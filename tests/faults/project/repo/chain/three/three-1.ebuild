# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Link three"
HOMEPAGE="https://example.org/faults"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
DEPEND="chain/one"
RDEPEND="chain/one"

src_compile() {
	sleep 0.3
	echo ${PN} > ${PN} || die
}

src_install() {
	insinto /usr/share/chain
	doins ${PN}
}
