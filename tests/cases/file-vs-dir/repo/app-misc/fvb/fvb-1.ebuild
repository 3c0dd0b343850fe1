# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A directory of the same name"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_install() {
	echo b > in
	insinto /opt/fvd
	doins in
}
