# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Its build needs what the seed lacks"
HOMEPAGE="https://example.org/cross"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="arm64"

BDEPEND="app-misc/tool"

src_install() {
	[[ $(tool) == "${CBUILD}" ]] || die "the tool is not the seed's"
	tool | newdoc - said
}
