# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_PN="gcc-12"
inherit debian-orig

DESCRIPTION="The compilers of GNU, for C and C++"
HOMEPAGE="https://gcc.gnu.org/"
S="${WORKDIR}/${P}"

LICENSE="GPL-3+ LGPL-3+ gcc-runtime-library-exception-3.1"
SLOT="12"
KEYWORDS="amd64"

DEPEND="
	dev-libs/gmp:=
	dev-libs/mpc:=
	dev-libs/mpfr:=
	sys-libs/zlib:=
"
RDEPEND="
	${DEPEND}
	sys-devel/binutils
	sys-libs/glibc
"

src_unpack() {
	default
	# Debian's tarball has upstream's inside, without its manuals.
	tar -xf "${WORKDIR}/gcc-12-${PV}/gcc-${PV}-dfsg.tar.xz" -C "${WORKDIR}" || die
	[[ -d ${S} ]] || mv "${WORKDIR}/gcc-${PV}-dfsg" "${S}" || die
}

src_prepare() {
	default
	# Corrected copies of the system's headers would be those of the machine it is built on.
	sed -i -e 's:\./fixinc\.sh:-c true:' gcc/Makefile.in || die
	# Debian has taken out the manuals, of which one is compared with what a program generates.
	sed -i -e '/^s-tm-texi: build/,/^$/c\s-tm-texi: ; $(STAMP) $@' \
		-e 's/^GENERATED_MANPAGES = .*/GENERATED_MANPAGES =/' gcc/Makefile.in || die
}

src_configure() {
	local conf=(
		--disable-bootstrap
		--disable-libatomic
		--disable-libcc1
		--disable-libgomp
		--disable-libitm
		--disable-libquadmath
		--disable-libsanitizer
		--disable-libssp
		--disable-libstdcxx-pch
		--disable-libvtv
		--disable-lto
		--disable-multilib
		--disable-nls
		--disable-plugin
		--disable-werror
		--enable-__cxa_atexit
		--enable-checking=release
		--enable-default-pie
		--enable-default-ssp
		--enable-languages=c,c++
		--enable-threads=posix
		--enable-version-specific-runtime-libs
		--libdir="${EPREFIX}/usr/lib"
		--libexecdir="${EPREFIX}/usr/libexec"
		--with-build-sysroot="${ESYSROOT}/"
		--with-sysroot="${EPREFIX}/"
		--with-system-zlib
		--without-isl
		--without-zstd
	)
	mkdir "${WORKDIR}/build" && cd "${WORKDIR}/build" || die
	ECONF_SOURCE="${S}" econf "${conf[@]}"
}

src_compile() {
	emake -C "${WORKDIR}/build" MAKEINFO=true
}

src_install() {
	emake -C "${WORKDIR}/build" MAKEINFO=true DESTDIR="${D}" install
	# All libraries where only this version of the compiler looks for them, and ld.so by env.d.
	local directory libs="/usr/lib/gcc/${CHOST}/${PV}"
	for directory in "${ED}"/usr/lib/gcc/"${CHOST}"/lib{,64} "${ED}"/usr/lib/lib{,64} \
		"${ED}"/usr/lib{,64}; do
		find "${directory}" -maxdepth 1 ! -type d -exec mv -t "${ED}${libs}" {} + 2>/dev/null
		rmdir "${directory}" 2>/dev/null
	done
	find "${ED}" -name '*.la' -delete || die
	rm -rf "${ED}"/usr/share/{info,locale,man} "${ED}${libs}"/*-gdb.py || die
	rm -rf "${ED}${libs}"/install-tools "${ED}/usr/libexec/gcc/${CHOST}/${PV}"/install-tools || die
	dosym gcc /usr/bin/cc
	dosym cpp "/usr/bin/${CHOST}-cpp"
	newenvd - 05gcc <<< "LDPATH=\"${EPREFIX}${libs}\""
}
