# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_PN="mpfr4"
DEBIAN_ORIG_EXT="xz"
inherit debian-orig plain-autotools

DESCRIPTION="Floating point numbers of any precision"
HOMEPAGE="https://www.mpfr.org/"

LICENSE="LGPL-3+"
SLOT="0/6"
KEYWORDS="amd64"

DEPEND="dev-libs/gmp:="
RDEPEND="${DEPEND}"

PLAIN_AUTOTOOLS_CONF=(
	--disable-static
	--enable-thread-safe
)
