EAPI=8
DESCRIPTION="A program that needs a library which no package installs"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
S=${WORKDIR}

src_compile() {
	echo 'int nowhere(void) { return 0; }' > nowhere.c
	echo 'int nowhere(void); int main(void) { return nowhere(); }' > linked.c
	gcc -shared -fPIC -Wl,-soname,libnowhere.so.1 -o libnowhere.so nowhere.c || die
	gcc -o linked linked.c -L. -lnowhere || die
}

src_install() {
	dobin linked
}
