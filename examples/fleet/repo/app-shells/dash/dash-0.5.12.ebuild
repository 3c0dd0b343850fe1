# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit debian-orig plain-autotools

DESCRIPTION="The Debian Almquist shell"
HOMEPAGE="http://gondor.apana.org.au/~herbert/dash/"

LICENSE="BSD"
SLOT="0"
KEYWORDS="amd64"
IUSE="static"

src_configure() {
	plain-autotools_src_configure $(use_enable static)
}
