# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_PN="make-dfsg"
inherit debian-orig plain-autotools

DESCRIPTION="Make what is older than its sources"
HOMEPAGE="https://www.gnu.org/software/make/"
S="${WORKDIR}/make-dfsg-${PV}"

LICENSE="GPL-3+"
SLOT="0"
KEYWORDS="amd64"
BDEPEND="dev-build/autoconf dev-build/automake"

src_prepare() {
	# Debian has taken the manual out, and with it the man page.
	sed -i -e '/^man_MANS/d' Makefile.am || die
	# Newer Autotools have warnings that this tarball does not know.
	sed -i -e '/^AM_INIT_AUTOMAKE/s/ -Werror -Wall//' configure.ac || die
	# One name is there twice, which newer Autoconf refuses.
	sed -i -e '/^AC_CONFIG_FILES/s/ Makefile \\$/ \\/' configure.ac || die
	default
	# What gettext would bring lies in m4/ already.
	AUTOPOINT=true autoreconf -fi || die
}

src_configure() {
	plain-autotools_src_configure --without-guile
}

src_install() {
	plain-autotools_src_install
	dosym make /usr/bin/gmake
}
