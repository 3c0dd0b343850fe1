# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A program that builds run"
HOMEPAGE="https://example.org/cross"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="arm64"

src_compile() {
	printf '#include <stdio.h>\nint main(void) { return puts("%s") < 0; }\n' "${CHOST}" > tool.c || die
	gcc ${CFLAGS} -o tool tool.c || die
	[[ ${CFLAGS} != *cortex* ]] || die "the flags are for another CPU"
}

src_install() {
	dobin tool
}
