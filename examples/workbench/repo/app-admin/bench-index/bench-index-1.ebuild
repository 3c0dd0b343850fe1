# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="An index of the workbench's own tools, made when they are installed"
HOMEPAGE="https://example.org/workbench/bench-index"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="~amd64"

# The tools that bring a fragment for the index.
RDEPEND="
	app-misc/notes
	app-misc/notes-find
"
# The index is made in pkg_postinst by jq, so jq has to be in the root where
# packages are installed from, but not in the one they are installed into.
IDEPEND="app-misc/jq"

src_install() {
	newbin "${FILESDIR}"/bench-index.sh bench-index
	keepdir /var/lib/bench-index
	insinto /usr/share/bench-index
	newins - bench-index.json <<<'{"bench-index": "say what tools there are"}'
}

pkg_postinst() {
	local index=${EROOT}/var/lib/bench-index/index.json
	jq --slurp --sort-keys add "${EROOT}"/usr/share/bench-index/*.json \
		> "${index}" || die "cannot make ${index}"
}

pkg_postrm() {
	[[ -n ${REPLACED_BY_VERSION} ]] || rm -f "${EROOT}"/var/lib/bench-index/index.json
}
