# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A distribution kernel: Debian's for virtual machines, with its headers"
HOMEPAGE="https://example.org/kernel"
SRC_URI="debian-kernel-${PV}.tar"
S=${WORKDIR}

LICENSE="GPL-2"
SLOT="${PV}"
KEYWORDS="amd64"
RESTRICT="binchecks fetch strip test"

IDEPEND="sys-apps/kmod"

src_install() {
	mv boot usr "${ED}" || die
	local tree
	tree=$(cd "${ED}/usr/src" && echo linux-*) || die
	dosym "${tree}" /usr/src/linux
	dosym "/usr/src/${tree}" "/usr/lib/modules/${tree#linux-}/build"
}

pkg_postinst() {
	local directory
	for directory in "${EROOT}"/lib/modules/*/kernel; do
		directory=${directory%/kernel}
		depmod -b "${EROOT:-/}" "${directory##*/}" || die
	done
}
