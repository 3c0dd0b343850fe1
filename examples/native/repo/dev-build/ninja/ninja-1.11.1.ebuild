# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_PN="ninja-build"
inherit debian-orig

DESCRIPTION="A small build system, for what others write"
HOMEPAGE="https://ninja-build.org/"

LICENSE="Apache-2.0"
SLOT="0"
KEYWORDS="amd64"

BDEPEND="dev-lang/python"

src_compile() {
	CXX="${CXX:-${CHOST}-g++}" CFLAGS="${CXXFLAGS}" \
		python3 configure.py --bootstrap --verbose || die
}

src_install() {
	dobin ninja
}
