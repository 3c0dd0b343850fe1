# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Is built over both"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

DEPEND="app-misc/fva app-misc/fvb"

src_install() { :; }
