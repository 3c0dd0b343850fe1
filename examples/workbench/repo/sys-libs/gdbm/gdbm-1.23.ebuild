# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit debian-orig plain-autotools

DESCRIPTION="A database in a file, by key"
HOMEPAGE="https://www.gnu.org.ua/software/gdbm/"

LICENSE="GPL-3+"
SLOT="0/6" # the number of libgdbm.so
KEYWORDS="amd64"
IUSE="nls +readline"

DEPEND="readline? ( sys-libs/readline:= )"
RDEPEND="${DEPEND}"

src_configure() {
	plain-autotools_src_configure $(use_with readline)
}
