# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_PV="${PV}+dfsg1"
DEBIAN_ORIG_EXT="xz"
inherit debian-orig plain-autotools

DESCRIPTION="Arithmetic with integers of any size"
HOMEPAGE="https://gmplib.org/"

LICENSE="|| ( LGPL-3+ GPL-2+ )"
SLOT="0/10.4"
KEYWORDS="amd64"
BDEPEND="sys-devel/m4"

PLAIN_AUTOTOOLS_CONF=(
	--disable-static
)

src_prepare() {
	plain-autotools_src_prepare
	# Debian has taken the manual out of the tarball.
	sed -i -e '/^ac_config_files=/s: doc/Makefile::' configure || die
	sed -i -e '/^SUBDIRS = /s/ doc$//' Makefile.in || die
}

src_configure() {
	# Gentoo's name of the ABI means something else to its configure.
	ABI=64 plain-autotools_src_configure
}
