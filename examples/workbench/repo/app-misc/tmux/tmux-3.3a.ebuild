# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit debian-orig plain-autotools

DESCRIPTION="Several terminals in one"
HOMEPAGE="https://github.com/tmux/tmux/wiki"

LICENSE="ISC"
SLOT="0"
KEYWORDS="amd64"

# It tells the programs in it that they run in a "tmux-256color".
DEPEND="
	dev-libs/libevent:=
	sys-libs/ncurses:=[-minimal]
"
RDEPEND="${DEPEND}"
PDEPEND="app-misc/tmux-conf"

PLAIN_AUTOTOOLS_CONF=(
	--disable-systemd
	--disable-utempter
	--disable-utf8proc
	--sysconfdir=/etc
	--with-TERM=tmux-256color
)

# Whoever wants tmux for a login shell must find it in /etc/shells.
pkg_postinst() {
	local shells=${EROOT}/etc/shells
	[[ -e ${shells} ]] || return 0
	if ! grep -qxF "${EPREFIX}/usr/bin/tmux" "${shells}"; then
		echo "${EPREFIX}/usr/bin/tmux" >> "${shells}" || die
	fi
}

pkg_postrm() {
	[[ -z ${REPLACED_BY_VERSION} ]] || return 0
	local shells=${EROOT}/etc/shells
	[[ -e ${shells} ]] || return 0
	sed -i -e "\\|^${EPREFIX}/usr/bin/tmux\$|d" "${shells}" || die
}
