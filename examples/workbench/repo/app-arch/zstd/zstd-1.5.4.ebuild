# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_PN="libzstd"
DEBIAN_ORIG_PV="${PV}+dfsg2"
DEBIAN_ORIG_EXT="xz"
inherit debian-orig

DESCRIPTION="Fast compression that is also good"
HOMEPAGE="https://facebook.github.io/zstd/"

LICENSE="|| ( BSD GPL-2 )"
SLOT="0/1" # the number of libzstd.so
KEYWORDS="amd64"
IUSE="lz4 lzma zlib"

# What else the program can read and write.
DEPEND="
	lz4? ( app-arch/lz4:= )
	lzma? ( app-arch/xz-utils:= )
	zlib? ( sys-libs/zlib:= )
"
RDEPEND="${DEPEND}"

src_configure() {
	local conf=(
		--buildtype plain
		--prefix "${EPREFIX}/usr"
		--libdir "$(get_libdir)"
		--wrap-mode nodownload
		-Ddefault_library=shared
		$(meson_feature lz4)
		$(meson_feature lzma)
		$(meson_feature zlib)
	)
	CC="${CC:-${CHOST}-gcc}" CXX="${CXX:-${CHOST}-g++}" \
		meson setup "${conf[@]}" build/meson "${WORKDIR}/build" || die
}

meson_feature() {
	usex "$1" "-D$1=enabled" "-D$1=disabled"
}

src_compile() {
	local jobs=$(sed -nE 's/.*-j *([0-9]+).*/\1/p' <<<" ${MAKEOPTS}")
	meson compile -C "${WORKDIR}/build" -j "${jobs:-1}" || die
}

src_install() {
	DESTDIR="${D}" meson install -C "${WORKDIR}/build" --no-rebuild || die
	dodoc CHANGELOG README.md
}
