# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Keeps nothing of what it takes"
HOMEPAGE="https://example.org/cloche"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="${PV}"
PROPERTIES="live"

src_unpack() {
	touch from-nowhere || die
}
