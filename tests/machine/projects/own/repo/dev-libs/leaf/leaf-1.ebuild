# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A library in C"
HOMEPAGE="https://example.org/own"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0/1"
KEYWORDS="amd64"

RDEPEND="sys-libs/glibc"

src_compile() {
	echo 'const char *leaf(void) { return "leaf"; }' > leaf.c || die
	${CC:-gcc} ${CFLAGS} ${LDFLAGS} -fPIC -shared -Wl,-soname,libleaf.so.1 -o libleaf.so.1 leaf.c || die
}

src_install() {
	dolib.so libleaf.so.1
	dosym libleaf.so.1 "/usr/$(get_libdir)/libleaf.so"
	newheader - leaf.h <<< 'const char *leaf(void);'
	insinto "/usr/$(get_libdir)/pkgconfig"
	printf 'Name: leaf\nDescription: leaf\nVersion: 1\nLibs: -L/usr/lib64 -lleaf\nCflags: -I/usr/include\n' |
		newins - leaf.pc
}
