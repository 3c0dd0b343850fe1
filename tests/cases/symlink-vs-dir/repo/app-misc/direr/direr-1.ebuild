# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A file in a directory of the name of that link"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_install() {
	echo d > d
	insinto /opt/store
	doins d
}
