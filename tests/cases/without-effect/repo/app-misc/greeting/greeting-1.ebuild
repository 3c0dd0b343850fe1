EAPI=8
DESCRIPTION="A package with one USE flag"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
IUSE="color"
S=${WORKDIR}

# Portage passes on what an ebuild says when its metadata are read.
echo "greeting: a word of an ebuild's own" >&2
