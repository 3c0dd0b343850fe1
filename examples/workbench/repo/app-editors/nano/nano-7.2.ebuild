# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_EXT="xz"
inherit debian-orig plain-autotools

DESCRIPTION="An editor that says what its keys do"
HOMEPAGE="https://www.nano-editor.org/"

LICENSE="GPL-3+"
SLOT="0"
KEYWORDS="amd64"
IUSE="+color justify magic minimal nls +unicode"
# libmagic is asked only for which colours to use.
REQUIRED_USE="
	magic? ( color )
	minimal? ( !color !justify )
"

DEPEND="
	sys-libs/ncurses:=
	magic? ( sys-apps/file:= )
"
RDEPEND="${DEPEND}"

src_configure() {
	plain-autotools_src_configure \
		$(use_enable color) \
		$(use_enable justify) \
		$(use_enable magic libmagic) \
		$(use_enable minimal tiny) \
		$(use_enable unicode utf8)
}

src_install() {
	plain-autotools_src_install
	if use color; then
		insinto /etc
		newins doc/sample.nanorc nanorc
		sed -i -e '/^# include /s/^# //' "${ED}"/etc/nanorc || die
	fi
}
