# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Files that others change"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_install() {
	echo mine > file
	echo mine > gone
	echo mine > victim.conf
	insinto /usr/share/victim
	doins file gone
	insinto /etc
	doins victim.conf
}
