# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Does not compile, after it has written something"
HOMEPAGE="https://example.org/faults"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_compile() {
	echo "so far so good" > progress.txt || die
	echo "made outside of the work directory" > "${T}"/outside.txt || die
	${CC:-gcc} ${CFLAGS} "${FILESDIR}"/broken.c -o broken || die "the compiler gave up"
}
