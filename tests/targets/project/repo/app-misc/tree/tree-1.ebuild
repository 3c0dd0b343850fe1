EAPI=8
DESCRIPTION="A program that is linked against a library"
HOMEPAGE="https://example.org/tree"
S="${WORKDIR}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
IUSE="fruit"

RDEPEND="dev-libs/leaf:="
DEPEND="${RDEPEND}"

src_compile() {
	cat > tree.c <<-END || die
		#include <stdio.h>
		int leaf(void);
		int main(void) { printf("leaf %d$(usev fruit ', fruit')\n", leaf()); return 0; }
	END
	${CC:-gcc} ${CFLAGS} -o tree tree.c -lleaf || die
}

src_install() {
	dobin tree
}
