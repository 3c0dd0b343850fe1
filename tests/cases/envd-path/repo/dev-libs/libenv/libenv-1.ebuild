# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A library and a program in a directory that env.d names"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_compile() {
	echo 'int envanswer(void) { return 42; }' > e.c
	gcc -shared -fPIC -Wl,-soname,libenv.so.1 -o libenv.so.1 e.c || die
	printf '#!/bin/sh\necho generated\n' > envgen
}

src_install() {
	exeinto /usr/lib/envslot/7/lib
	doexe libenv.so.1
	dosym libenv.so.1 /usr/lib/envslot/7/lib/libenv.so
	exeinto /usr/lib/envslot/7/bin
	doexe envgen
	newenvd - 60envslot <<-E
	PATH="/usr/lib/envslot/7/bin"
	ROOTPATH="/usr/lib/envslot/7/bin"
	LDPATH="/usr/lib/envslot/7/lib"
	ENVSLOT_HOME="/usr/lib/envslot/7"
	E
}
