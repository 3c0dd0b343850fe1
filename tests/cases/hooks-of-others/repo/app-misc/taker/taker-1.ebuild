# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Its hook removes files of the seed"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_install() { :; }

pkg_postinst() {
	rm "${EROOT}"/usr/bin/gcc "${EROOT}"/etc/passwd || die
}
