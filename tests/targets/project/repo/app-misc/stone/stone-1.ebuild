EAPI=8
DESCRIPTION="A program without dependencies that knows its CFLAGS"
HOMEPAGE="https://example.org/stone"
S="${WORKDIR}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
IUSE="moss"

src_compile() {
	cat > stone.c <<-END || die
		#include <stdio.h>
		int main(void) { puts("${CFLAGS}$(usev moss ' moss')"); return 0; }
	END
	${CC:-gcc} ${CFLAGS} -o stone stone.c || die
}

src_install() {
	dobin stone
}
