# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="The parts of Debian's Linux that a tiny kernel is built from"
HOMEPAGE="https://www.kernel.org/"
SRC_URI="tiny-sources-${PV}.tar"
S=${WORKDIR}/linux

LICENSE="GPL-2"
SLOT="${PV}"
KEYWORDS="amd64"
RESTRICT="binchecks fetch strip test"

RDEPEND="sys-kernel/build-tools"

src_configure() { :; }

src_compile() { :; }

src_install() {
	dodir /usr/src
	mv "${S}" "${ED}/usr/src/linux-${PV}" || die
}
