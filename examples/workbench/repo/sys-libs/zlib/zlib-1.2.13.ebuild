# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_PV="${PV}.dfsg"
DEBIAN_ORIG_EXT="bz2"
inherit debian-orig

DESCRIPTION="The compression of gzip, as a library"
HOMEPAGE="https://zlib.net/"
S="${WORKDIR}/${P}.dfsg"

LICENSE="ZLIB"
SLOT="0/1" # the number of libz.so
KEYWORDS="amd64"

src_configure() {
	# Not an Autoconf script, for all its looks: econf would confuse it.
	CC="${CC:-${CHOST}-gcc}" ./configure --shared \
		--prefix="${EPREFIX}/usr" \
		--libdir="${EPREFIX}/usr/$(get_libdir)" \
		--sharedlibdir="${EPREFIX}/usr/$(get_libdir)" || die
}

src_install() {
	default
	rm "${ED}/usr/$(get_libdir)/libz.a" || die
}
