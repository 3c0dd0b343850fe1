# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="What Linux needs to be built and the tests' seed has not, of Debian's packages"
HOMEPAGE="https://example.org/kernel"
SRC_URI="build-tools-${PV}.tar"
S=${WORKDIR}

LICENSE="GPL-2"
SLOT="0"
KEYWORDS="amd64"
RESTRICT="binchecks fetch strip test"

RDEPEND="sys-apps/kmod"

src_install() {
	mv usr "${ED}" || die
}
