# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit of-the-seed

DESCRIPTION="The compiler's libraries of the seed"
HOMEPAGE="https://example.org/own"

RDEPEND="sys-libs/glibc"

src_install() {
	install_of_seed libgcc-s1 libstdc++6
}
