# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A file"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_install() {
	echo a > fvd
	insinto /opt
	doins fvd
}
