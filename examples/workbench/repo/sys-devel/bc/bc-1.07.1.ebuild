# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit debian-orig plain-autotools

DESCRIPTION="Two calculators, with as many digits as are asked for"
HOMEPAGE="https://www.gnu.org/software/bc/"

LICENSE="GPL-3+"
SLOT="0"
KEYWORDS="amd64"
IUSE="+readline"

DEPEND="readline? ( sys-libs/readline:= )"
RDEPEND="${DEPEND}"
# A script of ed's makes a C header of the mathematical library.
BDEPEND="app-editors/ed"

src_configure() {
	plain-autotools_src_configure $(use_with readline) --without-libedit
}

src_compile() {
	# doc/ would make its manuals anew, from a source that has not changed.
	emake SUBDIRS="lib bc dc"
}

src_install() {
	dobin bc/bc dc/dc
	doman doc/{bc,dc}.1
	doinfo doc/{bc,dc}.info
	einstalldocs
}
