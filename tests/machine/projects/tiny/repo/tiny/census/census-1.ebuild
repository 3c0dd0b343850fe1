# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Reads when it is built what others enter themselves into"
HOMEPAGE="https://example.org/tiny"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

RDEPEND="
	tiny/first
	tiny/second
"
DEPEND="${RDEPEND}"

src_install() {
	insinto /usr/share/census
	doins "${ESYSROOT}"/var/lib/register/names
	getent passwd first second > "${ED}"/usr/share/census/users || die
	fowners first:second /usr/share/census/users
}
