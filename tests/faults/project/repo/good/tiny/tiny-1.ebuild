# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A library with a header, a shared object and an archive"
HOMEPAGE="https://example.org/faults"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
IUSE="loud"

src_compile() {
	cp "${FILESDIR}"/tiny.[ch] . || die
	${CC:-gcc} ${CFLAGS} -fPIC -c tiny.c || die
	${CC:-gcc} -shared -Wl,-soname,libtiny.so.1 -o libtiny.so.1 tiny.o || die
}

src_install() {
	doheader tiny.h
	dolib.so libtiny.so.1
	dosym libtiny.so.1 /usr/lib64/libtiny.so
	insinto /etc/ld.so.conf.d
	newins - tiny.conf <<<"/usr/lib64"
}
