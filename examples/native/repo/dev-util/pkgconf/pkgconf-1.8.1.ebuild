# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_EXT="xz"
inherit debian-orig plain-autotools

DESCRIPTION="Compiler and linker options of libraries"
HOMEPAGE="https://gitea.treehouse.systems/ariadne/pkgconf"

LICENSE="ISC"
SLOT="0/3"
KEYWORDS="amd64"

src_configure() {
	local lib="${EPREFIX}/usr/$(get_libdir)"
	plain-autotools_src_configure --disable-static \
		--with-system-libdir="${lib}" \
		--with-system-includedir="${EPREFIX}/usr/include" \
		--with-pkg-config-dir="${lib}/pkgconfig:${EPREFIX}/usr/share/pkgconfig"
}

src_install() {
	plain-autotools_src_install
	local name
	for name in pkg-config "${CHOST}-pkg-config" "${CHOST}-pkgconf"; do
		dosym pkgconf "/usr/bin/${name}"
	done
}
