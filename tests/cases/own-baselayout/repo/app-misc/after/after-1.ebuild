# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Builds and merges over a machine's own baselayout"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

BDEPEND="sys-apps/baselayout"
RDEPEND="${BDEPEND}"

src_install() {
	newenvd - 60after <<< 'PATH="/opt/after/bin"'
}
