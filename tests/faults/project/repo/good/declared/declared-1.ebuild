# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Uses a library and says so"
HOMEPAGE="https://example.org/faults"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
DEPEND="good/tiny"
RDEPEND="${DEPEND}"

src_compile() {
	${CC:-gcc} ${CFLAGS} "${FILESDIR}"/uses.c -L"${ESYSROOT}"/usr/lib64 -ltiny -o uses || die
}

src_install() {
	newbin uses declared
}
