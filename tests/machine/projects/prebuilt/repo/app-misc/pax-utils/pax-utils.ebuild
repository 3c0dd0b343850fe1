# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_BINARIES="pax-utils libcap2"
inherit debian-binary

DESCRIPTION="scanelf, without which Portage strips nothing and records no NEEDED"
SLOT="0"

RDEPEND="sys-libs/glibc"

src_prepare() {
	debian-binary_src_prepare
	rm -f usr/bin/{lddtree,symtree} || die # for modules of Python that are not here
}
