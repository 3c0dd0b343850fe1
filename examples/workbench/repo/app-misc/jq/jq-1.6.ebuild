# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit debian-orig plain-autotools

DESCRIPTION="A filter for JSON"
HOMEPAGE="https://jqlang.github.io/jq/"
S="${WORKDIR}/jq-${P}"

LICENSE="MIT"
SLOT="0"
KEYWORDS="amd64"
IUSE="+oniguruma"

DEPEND="oniguruma? ( dev-libs/oniguruma:= )"
RDEPEND="${DEPEND}"

PLAIN_AUTOTOOLS_CONF=( --disable-docs --disable-valgrind --disable-maintainer-mode )

src_prepare() {
	# It would ask Git for its version, and this is not a checkout.
	printf '#!/bin/sh\nprintf %%s %s\n' "${PV}" > scripts/version || die
	plain-autotools_src_prepare
}

src_configure() {
	plain-autotools_src_configure --with-oniguruma=$(usex oniguruma yes no)
}

src_install() {
	plain-autotools_src_install
	newman jq.1.prebuilt jq.1
}
