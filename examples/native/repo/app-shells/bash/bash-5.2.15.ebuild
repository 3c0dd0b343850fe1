# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit debian-orig plain-autotools

DESCRIPTION="The shell of Gentoo"
HOMEPAGE="https://www.gnu.org/software/bash/"

LICENSE="GPL-3+"
SLOT="0"
KEYWORDS="amd64"

DEPEND="
	sys-libs/ncurses:=
	sys-libs/readline:=
"
RDEPEND="${DEPEND}"

PLAIN_AUTOTOOLS_CONF=(
	--with-curses
	--with-installed-readline
	--without-bash-malloc
	--disable-profiling
	--enable-readline
	--enable-history
)

src_configure() {
	# Its configure does not know that the terminal functions may live in a
	# library of their own.
	export bash_cv_termcap_lib=libtinfo
	plain-autotools_src_configure
}

src_compile() {
	# Some of its headers are made by programs of the build; make does not
	# know about all of them.
	emake -j1 TERMCAP_LIB=-ltinfo
}

src_install() {
	plain-autotools_src_install
	dosym bash /usr/bin/sh
}
