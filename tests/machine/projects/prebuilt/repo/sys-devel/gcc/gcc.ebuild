# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_BINARIES="cpp-12 gcc-12 g++-12 libcc1-0 libgcc-12-dev libstdc++-12-dev libgcc-s1 libstdc++6 libisl23"
inherit debian-binary

DESCRIPTION="The compilers of GNU, for C and C++"
SLOT="12"

RDEPEND="
	app-arch/zstd
	dev-libs/gmp
	dev-libs/mpc
	dev-libs/mpfr
	sys-devel/binutils
	sys-libs/glibc
	sys-libs/zlib
"

src_prepare() {
	debian-binary_src_prepare
	# Libraries that are not here, and link-time optimisation, a sixth of it.
	rm usr/lib/gcc/x86_64-linux-gnu/12/lib{asan,atomic,gomp,itm,lsan,quadmath,tsan,ubsan}.* || die
	rm usr/lib/gcc/x86_64-linux-gnu/12/lto{1,-wrapper} || die
}

src_install() {
	debian-binary_src_install
	debian-binary_links cc=gcc-12 c++=g++-12 cpp=cpp-12 gcc=gcc-12 g++=g++-12 gcc-ar=gcc-ar-12 \
		gcc-nm=gcc-nm-12 gcc-ranlib=gcc-ranlib-12
}
