# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit debian-orig

DESCRIPTION="The compression of Burrows and Wheeler, as a library and programs"
HOMEPAGE="https://sourceware.org/bzip2/"

LICENSE="BZIP2"
SLOT="0/1" # the number of libbz2.so
KEYWORDS="amd64"

bzip2_make() {
	emake CC="${CC:-${CHOST}-gcc}" CFLAGS="${CFLAGS} -fPIC -D_FILE_OFFSET_BITS=64" \
		AR="${AR:-${CHOST}-ar}" RANLIB="${RANLIB:-${CHOST}-ranlib}" "$@"
}

src_compile() {
	bzip2_make -f Makefile-libbz2_so all LDFLAGS="${LDFLAGS}"
	bzip2_make bzip2recover LDFLAGS="${LDFLAGS}"
}

src_install() {
	local lib="/usr/$(get_libdir)"
	newbin bzip2-shared bzip2
	dobin bzip2recover bzdiff bzgrep bzmore
	dosym bzip2 /usr/bin/bunzip2
	dosym bzip2 /usr/bin/bzcat
	dolib.so libbz2.so.${PV}
	dosym libbz2.so.${PV} "${lib}/libbz2.so.1.0"
	dosym libbz2.so.${PV} "${lib}/libbz2.so.1"
	dosym libbz2.so.1 "${lib}/libbz2.so"
	doheader bzlib.h
	doman bzip2.1
}
