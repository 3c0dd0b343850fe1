# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Takes its sources from a repository when it is built"
HOMEPAGE="https://example.org/cloche"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
PROPERTIES="live"

src_unpack() {
	git clone https://example.org/lively.git "${S}"/lively || die
}
