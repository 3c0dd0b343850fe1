# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="It looks at its machine before it is built"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
IUSE="refuse"

pkg_pretend() {
	ewarn "pretend warns"
	use refuse && die "the flag refuse is on: this machine cannot have it"
}

src_install() {
	insinto /usr/share/checker
	newins - words <<< words
}
