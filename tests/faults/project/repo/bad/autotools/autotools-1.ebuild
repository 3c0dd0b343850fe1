# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Runs a tool of the seed that no package brings"
HOMEPAGE="https://example.org/faults"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_compile() {
	autoreconf --version || die "autoreconf does not run"
}
