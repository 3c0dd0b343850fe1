EAPI=8
DESCRIPTION="A tool of builds"
HOMEPAGE="https://example.org/axe"
S="${WORKDIR}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_install() {
	newbin - axe <<<$'#!/bin/sh\necho axe 2'
}
