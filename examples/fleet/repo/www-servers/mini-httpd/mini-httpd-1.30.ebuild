# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit debian-orig

DESCRIPTION="A small HTTP server"
HOMEPAGE="https://acme.com/software/mini_httpd/"
S="${WORKDIR}/mini_httpd-${PV}"

LICENSE="BSD-2"
SLOT="0"
KEYWORDS="amd64"
IUSE="htpasswd"

src_compile() {
	emake \
		CC="${CC:-${CHOST}-gcc}" \
		CFLAGS="${CPPFLAGS} ${CFLAGS}" \
		LDFLAGS="${LDFLAGS}" \
		mini_httpd $(usev htpasswd)
}

src_install() {
	dosbin mini_httpd
	use htpasswd && dobin htpasswd
	doman mini_httpd.8
	dodoc README
}
