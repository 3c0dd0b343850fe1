# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A program whose source is in the ebuild, for emerge in a stage"
HOMEPAGE="https://example.org/prebuilt"
S="${WORKDIR}"

LICENSE="GPL-2"
SLOT="0"
KEYWORDS="amd64"

src_compile() {
	echo '#include <stdio.h>
		int main(void) { return puts("compiled by emerge") < 0; }' > compiled.c || die
	"${CHOST}-gcc" ${CFLAGS} ${LDFLAGS} -o compiled compiled.c || die
}

src_install() {
	dobin compiled
}
