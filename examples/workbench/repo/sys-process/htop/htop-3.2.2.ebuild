# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit debian-orig plain-autotools

DESCRIPTION="Watch the processes, in colour"
HOMEPAGE="https://htop.dev/"

LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="amd64"
IUSE="openvz +unicode vserver"

DEPEND="sys-libs/ncurses:="
RDEPEND="${DEPEND}"

# Libraries it would use if it happened to find them.
PLAIN_AUTOTOOLS_CONF=(
	--disable-capabilities
	--disable-delayacct
	--disable-hwloc
	--disable-sensors
	--disable-unwind
)

src_configure() {
	plain-autotools_src_configure \
		$(use_enable openvz) \
		$(use_enable unicode) \
		$(use_enable vserver)
}
