# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit of-the-seed

DESCRIPTION="The shell of the seed, and cat"
HOMEPAGE="https://example.org/own"

RDEPEND="
	sys-apps/baselayout
	sys-libs/glibc
"

src_install() {
	install_of_seed dash
	dobin /usr/bin/cat
	dosym dash /usr/bin/sh
}
