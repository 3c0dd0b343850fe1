# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A program in C++ for CHOST, whose build makes a tool for CBUILD and runs both"
HOMEPAGE="https://example.org/cross"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="arm64"

RDEPEND="dev-libs/oniguruma:="
DEPEND="${RDEPEND}"
BDEPEND="virtual/pkgconfig"

src_compile() {
	[[ ${CBUILD} != "${CHOST}" ]] || die "this is not a cross build"
	cat > tool.c <<-'EOF' || die
		#include <stdio.h>
		int main(void) { return puts("#define WORD \"hello\"") < 0; }
	EOF
	${BUILD_CC} tool.c -o tool || die
	./tool > word.h || die
	cat > greets.cc <<-'EOF' || die
		#include <cstdlib>
		#include <iostream>
		#include <oniguruma.h>
		#include "word.h"
		int main() { std::cout << WORD << " with " << onig_version() << std::endl; }
	EOF
	local flags=$("${CHOST}"-pkg-config --cflags oniguruma) libs=$("${CHOST}"-pkg-config --libs oniguruma)
	[[ ${flags} == *"${ESYSROOT}"/usr/include* ]] || die "pkg-config is the seed's: ${flags}"
	"${CHOST}"-g++ ${CXXFLAGS} ${flags} -H -Wl,--trace -o greets greets.cc ${libs} > libraries 2> headers || die
	# Of the seed there are only the compiler's own parts.
	grep -E '^\.+ ' headers | grep -v -e " ${ESYSROOT}/" -e /c++/ -e /gcc-cross/ -e ' word.h' && die "headers of the seed"
	grep '^/' libraries | grep -v -e "^${ESYSROOT}/" -e /gcc-cross/ -e '^/var/tmp/' && die "libraries of the seed"
	./greets || die "what is built does not run"
	gcc tool.c -o plain && [[ $(./plain) == "$(<word.h)" ]] || die "gcc is not the seed's"
}

src_install() {
	dobin greets
}

pkg_postinst() {
	"${EROOT}"/usr/bin/greets > "${EROOT}"/etc/greeted || die
}
