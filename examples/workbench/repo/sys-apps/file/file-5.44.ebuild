# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit debian-orig plain-autotools

DESCRIPTION="Tell what is in a file"
HOMEPAGE="https://www.darwinsys.com/file/"

LICENSE="BSD-2"
SLOT="0/1" # the number of libmagic.so
KEYWORDS="amd64"
IUSE="lzma zlib zstd"

# To look into compressed files.
DEPEND="
	lzma? ( app-arch/xz-utils:= )
	zlib? ( sys-libs/zlib:= )
	zstd? ( app-arch/zstd:= )
"
RDEPEND="${DEPEND}"

PLAIN_AUTOTOOLS_CONF=(
	--disable-bzlib
	--disable-libseccomp
	--disable-lzlib
	--enable-fsect-man5
)

src_configure() {
	plain-autotools_src_configure \
		$(use_enable lzma xzlib) \
		$(use_enable zlib) \
		$(use_enable zstd zstdlib)
}
