# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_EXT="xz"
inherit debian-orig plain-autotools

DESCRIPTION="Shared libraries for packages with Autotools"
HOMEPAGE="https://www.gnu.org/software/libtool/"

LICENSE="GPL-2+"
SLOT="2"
KEYWORDS="amd64"

DEPEND="
	dev-build/autoconf
	dev-build/automake
"
RDEPEND="${DEPEND}"

PLAIN_AUTOTOOLS_CONF=(
	--disable-ltdl-install
)
