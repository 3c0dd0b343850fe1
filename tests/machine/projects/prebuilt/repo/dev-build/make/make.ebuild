# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_BINARIES="make"
inherit debian-binary

DESCRIPTION="Make what is older than its sources"
SLOT="0"

src_prepare() {
	debian-binary_src_prepare
	rm usr/bin/make-first-existing-target || die # for Perl
}

src_install() {
	debian-binary_src_install
	dosym make /usr/bin/gmake
}
