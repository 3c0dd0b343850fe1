EAPI=8
DESCRIPTION="What a tool makes"
HOMEPAGE="https://example.org/wood"
S="${WORKDIR}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

BDEPEND="dev-util/axe"

src_install() {
	insinto /usr/share/wood
	newins - made-by <<<"$(axe)"
}
