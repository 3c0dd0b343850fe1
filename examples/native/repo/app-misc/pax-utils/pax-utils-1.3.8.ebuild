# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit debian-orig

DESCRIPTION="scanelf, without which Portage strips nothing and records no NEEDED"
HOMEPAGE="https://wiki.gentoo.org/wiki/Hardened/PaX_Utilities"

LICENSE="GPL-2"
SLOT="0"
KEYWORDS="amd64"
BDEPEND="
	dev-build/meson
	dev-build/ninja
"

src_configure() {
	CC="${CC:-${CHOST}-gcc}" meson setup --buildtype plain --prefix "${EPREFIX}/usr" \
		-Dbuild_manpages=disabled -Dlddtree_implementation=sh -Dtests=false \
		-Duse_fuzzing=false -Duse_libcap=disabled -Duse_seccomp=false \
		. "${WORKDIR}/build" || die
}

src_compile() {
	meson compile -C "${WORKDIR}/build" || die
}

src_install() {
	DESTDIR="${D}" meson install -C "${WORKDIR}/build" --no-rebuild || die
}
