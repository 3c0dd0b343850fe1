# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_EXT="xz"
inherit debian-orig

DESCRIPTION="Assembler, linker and tools for object files"
HOMEPAGE="https://www.gnu.org/software/binutils/"

LICENSE="GPL-3+"
SLOT="2.40"
KEYWORDS="amd64"

DEPEND="sys-libs/zlib:="
RDEPEND="${DEPEND}"

src_configure() {
	local conf=(
		--disable-gdb
		--disable-gdbserver
		--disable-gprofng
		--disable-libdecnumber
		--disable-nls
		--disable-readline
		--disable-shared
		--disable-sim
		--disable-werror
		--enable-default-hash-style=gnu
		--enable-deterministic-archives
		--enable-new-dtags
		--enable-plugins
		--enable-relro
		--with-sysroot="${EPREFIX}/"
		--with-system-zlib
		--without-debuginfod
		--without-msgpack
		--without-zstd
	)
	mkdir "${WORKDIR}/build" && cd "${WORKDIR}/build" || die
	ECONF_SOURCE="${S}" econf "${conf[@]}"
}

src_compile() {
	emake -C "${WORKDIR}/build" MAKEINFO=true
}

src_install() {
	emake -C "${WORKDIR}/build" DESTDIR="${D}" MAKEINFO=true tooldir="${EPREFIX}/usr" install
	find "${ED}" -name '*.la' -delete || die
	rm -rf "${ED}"/usr/share/info || die
	local tool
	for tool in addr2line ar as c++filt elfedit gprof ld ld.bfd nm objcopy objdump ranlib \
		readelf size strings strip; do
		dosym "${tool}" "/usr/bin/${CHOST}-${tool}"
	done
}
