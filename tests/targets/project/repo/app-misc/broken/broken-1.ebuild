EAPI=8
DESCRIPTION="A package that cannot be built"
HOMEPAGE="https://example.org/broken"
S="${WORKDIR}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_compile() {
	echo "error: the wind is too strong" >&2
	die "no way"
}
