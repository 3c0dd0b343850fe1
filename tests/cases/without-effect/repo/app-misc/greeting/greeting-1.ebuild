EAPI=8
DESCRIPTION="A package with one USE flag"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
IUSE="color"
S=${WORKDIR}
