EAPI=8
DESCRIPTION="No program at all"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
S=${WORKDIR}

src_install() {
	insinto /usr/share/words
	newins - words <<<"words"
}
