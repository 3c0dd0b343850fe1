EAPI=8
DESCRIPTION="A program that needs the C library alone"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
S=${WORKDIR}

src_compile() {
	echo 'int main(void) { return 0; }' > plain.c
	gcc -o plain plain.c || die
}

src_install() {
	dobin plain
}
