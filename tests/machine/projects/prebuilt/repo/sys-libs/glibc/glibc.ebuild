# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_BINARIES="libc6 libc6-dev libc-bin libcrypt1 libcrypt-dev"
inherit debian-binary

DESCRIPTION="The C library of GNU"
SLOT="2.2"

DEPEND="sys-kernel/linux-headers"
RDEPEND="sys-apps/baselayout"

src_install() {
	debian-binary_src_install
	newenvd - 00glibc <<< 'LDPATH="/usr/lib/x86_64-linux-gnu"'
	insinto /etc
	newins - nsswitch.conf <<< $'passwd: files\ngroup: files\nshadow: files\nhosts: files dns'
}
