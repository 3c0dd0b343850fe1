# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit debian-cross

DESCRIPTION="The libraries of Debian's cross compiler, for programs in C and C++"
HOMEPAGE="https://gcc.gnu.org/"

LICENSE="GPL-3+"
KEYWORDS="arm arm64 riscv"
RESTRICT="strip"

RDEPEND="sys-libs/glibc"

src_install() {
	install_of_debian libgcc-s1 libstdc++6
}
