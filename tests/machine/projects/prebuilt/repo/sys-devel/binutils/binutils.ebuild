# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_BINARIES="binutils binutils-common binutils-x86-64-linux-gnu libbinutils libctf0 libctf-nobfd0 libgprofng0 libjansson4"
inherit debian-binary

DESCRIPTION="Assembler, linker and tools for object files"
SLOT="2.40"

RDEPEND="
	app-arch/zstd
	sys-libs/glibc
	sys-libs/zlib
"

src_prepare() {
	debian-binary_src_prepare
	rm usr/bin/*gp-display-html || die # for Perl
}

src_install() {
	debian-binary_src_install
	debian-binary_links addr2line ar as c++filt elfedit gprof ld ld.bfd nm objcopy objdump ranlib \
		readelf size strings strip
}
