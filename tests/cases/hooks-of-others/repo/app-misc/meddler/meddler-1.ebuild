# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Its hook changes files of victim, and edits its configuration"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

RDEPEND="app-misc/victim"

src_install() { :; }

pkg_postinst() {
	echo changed >> "${EROOT}/usr/share/victim/file" || die
	rm "${EROOT}/usr/share/victim/gone" || die
	echo edited >> "${EROOT}/etc/victim.conf" || die
}
