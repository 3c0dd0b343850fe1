# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A tool in C that builds need: says a word twice"
HOMEPAGE="https://example.org/own"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_compile() {
	printf '#include <stdio.h>\nint main(int n, char **a) { printf("%%s%%s", a[1], a[1]); }' > twice.c || die
	${CC:-gcc} ${CFLAGS} -o twice twice.c || die
}

src_install() {
	dobin twice
}
