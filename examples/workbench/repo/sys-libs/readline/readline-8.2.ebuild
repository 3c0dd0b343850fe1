# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit debian-orig

DESCRIPTION="Editing of input lines, with history"
HOMEPAGE="https://tiswww.case.edu/php/chet/readline/rltop.html"

LICENSE="GPL-3+"
SLOT="0/8" # the number of libreadline.so
KEYWORDS="amd64"

DEPEND="sys-libs/ncurses:="
RDEPEND="${DEPEND}"

src_configure() {
	# Its configure does not know that the terminal functions may live in a
	# library of their own.
	export bash_cv_termcap_lib=libtinfo
	econf --disable-static --with-curses --disable-install-examples
}

src_compile() {
	emake SHLIB_LIBS=-ltinfo
}

src_install() {
	emake DESTDIR="${D}" SHLIB_LIBS=-ltinfo install
	rm -f "${ED}"/usr/share/info/dir || die
	einstalldocs
}
