# Distributed under the terms of the GNU General Public License, version 2 or later

EAPI=8

DESCRIPTION="A greeting, and an example of a package that has nothing to download"
HOMEPAGE="https://wiki.gentoo.org/wiki/Ebuild"
S="${WORKDIR}"

LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="amd64"
IUSE="color"

src_unpack() {
	cp "${FILESDIR}"/greeting.c . || die
}

src_compile() {
	local compiler=${CC:-${CHOST:+${CHOST}-}gcc}
	type -P "${compiler}" >/dev/null || compiler=cc
	local command=(
		"${compiler}" ${CPPFLAGS} ${CFLAGS} ${LDFLAGS}
		-DCOLOR=$(usex color 1 0) -o greeting greeting.c
	)
	echo "${command[@]}"
	"${command[@]}" || die "greeting.c does not compile"
}

src_test() {
	./greeting | grep -q 'Hello from under the cloche' || die "the greeting is not what it was"
}

src_install() {
	dobin greeting
}
