# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="It says something in every way, in several phases"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

pkg_setup() {
	einfo "an einfo is not repeated"
	ewarn "setup warns"
}

src_install() {
	elog "install logs, first line"
	elog "second line with an "$'\e'" escape"
	eqawarn "install is not nice"
	insinto /usr/share/talker
	newins - words <<< words
}

pkg_postinst() {
	elog "postinst logs"
	eerror "postinst has an error to tell"
}
