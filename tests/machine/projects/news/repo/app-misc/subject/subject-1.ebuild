# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A package that news are about"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
