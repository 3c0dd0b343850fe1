# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_PN="mpclib3"
inherit debian-orig plain-autotools

DESCRIPTION="Complex numbers of any precision"
HOMEPAGE="https://www.multiprecision.org/mpc/"

LICENSE="LGPL-3+"
SLOT="0/3"
KEYWORDS="amd64"

DEPEND="
	dev-libs/gmp:=
	dev-libs/mpfr:=
"
RDEPEND="${DEPEND}"

PLAIN_AUTOTOOLS_CONF=(
	--disable-static
)
