# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit of-the-seed

DESCRIPTION="The C library of the seed, with headers"
HOMEPAGE="https://example.org/own"

src_install() {
	install_of_seed libc6 libc6-dev libc-bin linux-libc-dev libcrypt1 libcrypt-dev
	rm "${D}"/etc/ld.so.conf || die # every root makes its own
	rm "${D}"/usr/bin/{ldd,tzselect} || die # scripts for bash
	newenvd - 00glibc <<< 'LDPATH="include ld.so.conf.d/*.conf"'
}
