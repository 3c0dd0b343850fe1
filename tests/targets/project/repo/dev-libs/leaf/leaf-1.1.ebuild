EAPI=8
DESCRIPTION="A library whose ABI changes with its major version"
HOMEPAGE="https://example.org/leaf"
S="${WORKDIR}"
LICENSE="public-domain"
SLOT="0/1"
KEYWORDS="amd64"
IUSE="veins"

src_compile() {
	echo 'int leaf(void) { return 1; }' > leaf.c || die
	${CC:-gcc} ${CFLAGS} -shared -fPIC -Wl,-soname,libleaf.so.1 -o libleaf.so.1 leaf.c || die
}

src_install() {
	dolib.so libleaf.so.1
	dosym libleaf.so.1 /usr/$(get_libdir)/libleaf.so
}
