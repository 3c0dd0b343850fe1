# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Cargo and the compiler of the seed, Debian's packages cargo and rustc"

SLOT="0"
KEYWORDS="amd64"
S="${WORKDIR}"

src_compile() {
	cargo --version || die "add the packages cargo and rustc to the seed"
}
