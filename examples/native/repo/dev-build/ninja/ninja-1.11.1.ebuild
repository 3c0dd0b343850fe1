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
	local source sources=( $(echo src/*.cc) ) wanted=()
	for source in "${sources[@]}"; do
		case ${source} in
			*_test.cc|*_perftest.cc|*-win32.cc|*-helper*win*|src/minidump*|src/msvc*|src/includes_normalize*|src/getopt*) ;;
			src/browse.cc|src/test.cc|src/hash_collision_bench.cc|src/inline*) ;;
			*) wanted+=( "${source}" ) ;;
		esac
	done
	"${CXX:-${CHOST}-g++}" ${CXXFLAGS} ${LDFLAGS} -DNINJA_HAVE_BROWSE=0 -UNINJA_HAVE_BROWSE \
		-o ninja "${wanted[@]}" || die
}

src_install() {
	dobin ninja
}
