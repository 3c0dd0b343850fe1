# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A link to a directory that it owns"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_install() {
	keepdir /opt/store-2
	dosym store-2 /opt/store
	echo l > l
	insinto /opt/store-2
	doins l
}
