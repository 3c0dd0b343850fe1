# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Its hook forgets the root"
HOMEPAGE="https://example.org/own"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

pkg_postinst() {
	echo "here" > /etc/outside || die
}
