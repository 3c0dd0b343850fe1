# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit debian-orig

DESCRIPTION="A small C library"
HOMEPAGE="https://musl.libc.org/"

LICENSE="MIT"
SLOT="0"
KEYWORDS="amd64"

src_configure() {
	# Its script knows no CBUILD, and has one option for everything that it is told by name.
	./configure --prefix=/usr --syslibdir=/lib --disable-static --disable-gcc-wrapper || die
}

src_install() {
	emake DESTDIR="${D}" install
	# The loader is the library: a link that holds where /lib is no link itself.
	dosym ../usr/lib/libc.so /lib/ld-musl-x86_64.so.1
}
