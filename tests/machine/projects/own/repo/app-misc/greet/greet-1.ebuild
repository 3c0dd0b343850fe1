# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A program that needs a library, a tool for its build, and a hook"
HOMEPAGE="https://example.org/own"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

RDEPEND="
	dev-libs/leaf:=
	sys-devel/gcc
	sys-libs/glibc
"
DEPEND="${RDEPEND}"
BDEPEND="dev-util/twice"

src_compile() {
	cat > greet.cc <<-'EOF' || die
		#include <iostream>
		extern "C" {
		#include <leaf.h>
		}
		int main() { std::cout << WORDS << " of " << leaf() << std::endl; }
	EOF
	g++ ${CXXFLAGS} ${LDFLAGS} -DWORDS="\"$(twice hello)\"" $(pkg-config --cflags leaf) \
		-o greet greet.cc $(pkg-config --libs leaf) || die
	./greet || die "what a build makes runs in it"
}

src_install() {
	dobin greet
}

pkg_postinst() {
	"${EROOT}"/usr/bin/greet > "${EROOT}"/etc/greeted 2>/dev/null || echo later > "${EROOT}"/etc/greeted || die
}
