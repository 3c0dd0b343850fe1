# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Its hook removes the VDB entry of victim"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

RDEPEND="app-misc/victim"

src_install() { :; }

pkg_postinst() {
	rm -r "${EROOT}"/var/db/pkg/app-misc/victim-1 || die
}
