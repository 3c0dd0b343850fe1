# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit debian-cross

DESCRIPTION="The C library of Debian's cross compiler, with headers"
HOMEPAGE="https://www.gnu.org/software/libc/"

LICENSE="LGPL-2.1+"
KEYWORDS="arm arm64 riscv"
RESTRICT="strip"

RDEPEND="sys-apps/baselayout"

src_install() {
	install_of_debian libc6 libc6-dev linux-libc-dev
}
