# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_BINARIES="bash"
inherit debian-binary

DESCRIPTION="The shell of Gentoo"
SLOT="0"

RDEPEND="sys-libs/ncurses"

src_install() {
	debian-binary_src_install
	dosym bash /usr/bin/sh
}
