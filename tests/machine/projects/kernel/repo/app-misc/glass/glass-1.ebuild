# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit linux-mod-r1

DESCRIPTION="A module that says that it was loaded"
HOMEPAGE="https://example.org/kernel"
S=${WORKDIR}

LICENSE="GPL-2"
SLOT="0"
KEYWORDS="amd64"
RESTRICT="test"

src_unpack() {
	cp "${FILESDIR}"/{Makefile,glass.c} . || die
}

src_compile() {
	local modlist=( glass )
	local modargs=( KERNEL="${KV_OUT_DIR}" )
	linux-mod-r1_src_compile
}
