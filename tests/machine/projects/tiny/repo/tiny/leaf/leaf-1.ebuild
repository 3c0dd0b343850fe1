# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A library in C"
HOMEPAGE="https://example.org/tiny"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0/1"
KEYWORDS="amd64"

src_compile() {
	${CC:-gcc} ${CPPFLAGS} ${CFLAGS} ${LDFLAGS} -fPIC -shared -Wl,-soname,libleaf.so.1 \
		-o libleaf.so.1 "${FILESDIR}"/leaf.c || die
}

src_install() {
	dolib.so libleaf.so.1
	dosym libleaf.so.1 "/usr/$(get_libdir)/libleaf.so"
	doheader "${FILESDIR}"/leaf.h
}
