# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A program that is not for CHOST, as gcc compiles it"
HOMEPAGE="https://example.org/cross"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="arm64"

src_compile() {
	echo 'int main(void) { return 0; }' | gcc -x c -o plain - || die
}

src_install() {
	dobin plain
}
