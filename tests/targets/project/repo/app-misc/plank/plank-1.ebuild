EAPI=8
DESCRIPTION="What a tool makes, whatever its slot"
HOMEPAGE="https://example.org/plank"
S="${WORKDIR}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

BDEPEND="dev-util/saw"

src_install() {
	local each
	insinto /usr/share/plank
	for each in "${BROOT}"/usr/bin/saw-[12]; do
		newins - made-by <<<"$("${each}")"
	done
}
