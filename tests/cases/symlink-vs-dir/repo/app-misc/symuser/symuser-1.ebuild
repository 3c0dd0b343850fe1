# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Is built over both"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

DEPEND="app-misc/linker app-misc/direr"

src_compile() {
	cat /opt/store/l /opt/store/d > seen || die "both of them are not there"
}

src_install() {
	insinto /usr/share/symuser
	doins seen
}
