# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Finds by env.d what another package brings, and the system's programs as well"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

DEPEND="dev-libs/libenv"
RDEPEND="${DEPEND}"
BDEPEND="${DEPEND}"

src_compile() {
	cat > m.c <<-E
	#include <stdio.h>
	extern int envanswer(void);
	int main(void) { printf("%d\n", envanswer()); return 0; }
	E
	gcc -o envuser m.c -L"${ENVSLOT_HOME}/lib" -lenv || die
	./envuser > answer || die "its library is not found (ld.so.cache)"
	type -P envgen || die "envgen is not in PATH (env.d)"
	type -P ldconfig || die "ldconfig is not in PATH (env.d)"
}

src_install() {
	dobin envuser
	insinto /usr/share/envuser
	doins answer
}

pkg_postinst() {
	envuser || die "its library is not found"
	envgen || die "envgen is not in PATH"
	type -P ldconfig || die "ldconfig is not in PATH"
}
