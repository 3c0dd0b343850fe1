# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit debian-orig plain-autotools

DESCRIPTION="Show a text page by page, back and forth"
HOMEPAGE="https://www.greenwoodsoftware.com/less/"

LICENSE="|| ( GPL-3+ BSD-2 )"
SLOT="0"
KEYWORDS="amd64"
IUSE="pcre"

DEPEND="
	sys-libs/ncurses:=
	pcre? ( dev-libs/libpcre2:= )
"
RDEPEND="${DEPEND}"

src_configure() {
	plain-autotools_src_configure --with-regex=$(usex pcre pcre2 posix)
}
