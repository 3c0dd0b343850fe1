# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Programs for modules, of Debian's packages, with the libraries that they need"
HOMEPAGE="https://example.org/kernel"
SRC_URI="kmod-${PV}.tar"
S=${WORKDIR}

LICENSE="GPL-2"
SLOT="0"
KEYWORDS="amd64"
IUSE="+tools"
RESTRICT="binchecks fetch strip test"

src_install() {
	mv usr "${ED}" || die
}
