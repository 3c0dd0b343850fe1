# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A program in C that uses a library"
HOMEPAGE="https://example.org/tiny"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

DEPEND="tiny/leaf:="
RDEPEND="${DEPEND}"

src_compile() {
	${CC:-gcc} ${CPPFLAGS} ${CFLAGS} ${LDFLAGS} -o greet "${FILESDIR}"/greet.c -lleaf || die
}

src_install() {
	dobin greet
}
