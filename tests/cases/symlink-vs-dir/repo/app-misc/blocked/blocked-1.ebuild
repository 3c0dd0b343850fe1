# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A link that leads nowhere, where direr has a directory"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_install() {
	dosym elsewhere /opt/store
}
