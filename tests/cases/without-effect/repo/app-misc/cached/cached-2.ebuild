EAPI=8
inherit words
DESCRIPTION="What the cache says of it counts where it is of these files"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
IUSE="read-2"
S=${WORKDIR}
