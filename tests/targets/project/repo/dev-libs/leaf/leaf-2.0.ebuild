EAPI=8
DESCRIPTION="A library whose ABI changes with its major version"
HOMEPAGE="https://example.org/leaf"
S="${WORKDIR}"
LICENSE="public-domain"
SLOT="0/2"
KEYWORDS="amd64"
IUSE="veins"

src_compile() {
	echo 'int leaf(void) { return 2; }' > leaf.c || die
	${CC:-gcc} ${CFLAGS} -shared -fPIC -Wl,-soname,libleaf.so.2 -o libleaf.so.2 leaf.c || die
}

src_install() {
	dolib.so libleaf.so.2
	dosym libleaf.so.2 /usr/$(get_libdir)/libleaf.so
}
