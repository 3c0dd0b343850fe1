# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="dracut, of Debian's packages, with the programs that it needs"
HOMEPAGE="https://example.org/kernel"
SRC_URI="dracut-${PV}.tar"
S=${WORKDIR}

LICENSE="GPL-2"
SLOT="0"
KEYWORDS="amd64"
RESTRICT="binchecks fetch strip test"

RDEPEND="sys-apps/kmod"

src_install() {
	mv usr "${ED}" || die
}
