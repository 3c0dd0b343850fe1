# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_EXT="xz"
inherit debian-orig plain-autotools

DESCRIPTION="A language for tables of text"
HOMEPAGE="https://www.gnu.org/software/gawk/"

LICENSE="GPL-3+"
SLOT="0"
KEYWORDS="amd64"

PLAIN_AUTOTOOLS_CONF=(
	--without-readline
	--without-mpfr
	--disable-extensions
)

src_prepare() {
	plain-autotools_src_prepare
	# Debian has taken the manual out of the tarball; awklib's examples are made from it.
	sed -i -e '/^SUBDIRS = /s/ extras doc awklib po test/ extras po/' Makefile.in || die
}
