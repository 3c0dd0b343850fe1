# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_PN="linux"
DEBIAN_ORIG_EXT="xz"
inherit debian-orig

DESCRIPTION="Headers of the kernel, for the C library"
HOMEPAGE="https://www.kernel.org/"
S="${WORKDIR}/linux-${PV}"

LICENSE="GPL-2"
SLOT="0"
KEYWORDS="amd64"

RDEPEND="sys-apps/baselayout"

# What `make headers` reads. The whole tree takes a gigabyte.
src_unpack() {
	local part parts=( Makefile Kbuild arch/x86 include scripts tools/include usr/include )
	tar -xf "${DISTDIR}/${A}" "${parts[@]/#/linux-${PV}/}" || die
}

src_compile() {
	# Its generators are programs of the build machine.
	emake ARCH=x86 HOSTCC="${BUILD_CC:-gcc}" headers
}

src_install() {
	cd usr/include || die
	find . -type f ! -name '*.h' -delete || die
	insinto /usr/include
	doins -r .
}
