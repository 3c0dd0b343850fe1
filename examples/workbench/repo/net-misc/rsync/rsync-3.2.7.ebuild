# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit debian-orig plain-autotools

DESCRIPTION="Copy files by their differences"
HOMEPAGE="https://rsync.samba.org/"

LICENSE="GPL-3+"
SLOT="0"
KEYWORDS="amd64"
IUSE="lz4 xxhash zstd"

DEPEND="
	dev-libs/popt
	sys-libs/zlib:=
	lz4? ( app-arch/lz4:= )
	xxhash? ( dev-libs/xxhash )
	zstd? ( app-arch/zstd:= )
"
RDEPEND="${DEPEND}"

PLAIN_AUTOTOOLS_CONF=(
	--disable-acl-support
	--disable-md2man
	--disable-openssl
	--disable-roll-simd
	--with-rsyncd-conf=/etc/rsyncd.conf
	--without-included-popt
	--without-included-zlib
)

src_configure() {
	plain-autotools_src_configure \
		$(use_enable lz4) \
		$(use_enable xxhash) \
		$(use_enable zstd)
}
