# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A package whose build needs a program, a library and a virtual of the seed"
HOMEPAGE="https://example.org/own"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

BDEPEND="
	app-arch/xz-utils
	virtual/libcrypt:=
	virtual/pkgconfig
"

src_install() {
	echo asked | xz > asked.xz || die
	printf '#include <crypt.h>\nint main(void) { return !crypt("a", "ab"); }\n' > asks.c || die
	/usr/bin/gcc asks.c -o asks -lcrypt && ./asks || die # for the build, with the seed's library
	insinto /usr/share/asks
	doins asked.xz
}
