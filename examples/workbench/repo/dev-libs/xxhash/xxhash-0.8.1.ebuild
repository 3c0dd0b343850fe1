# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit debian-orig

DESCRIPTION="Hash as fast as memory can be read"
HOMEPAGE="https://xxhash.com/"
S="${WORKDIR}/xxHash-${PV}"

LICENSE="BSD-2 GPL-2+" # the library, the program
SLOT="0"
KEYWORDS="amd64"

xxhash_make() {
	emake \
		CC="${CC:-${CHOST}-gcc}" \
		PREFIX="${EPREFIX}/usr" \
		LIBDIR="${EPREFIX}/usr/$(get_libdir)" \
		MANDIR="${EPREFIX}/usr/share/man/man1" \
		"$@"
}

src_compile() {
	xxhash_make lib xxhsum
}

src_install() {
	xxhash_make DESTDIR="${D}" install
	rm "${ED}/usr/$(get_libdir)/libxxhash.a" || die
	einstalldocs
}
