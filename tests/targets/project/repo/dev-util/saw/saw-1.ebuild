EAPI=8
DESCRIPTION="A tool of builds of which a root can have two versions"
HOMEPAGE="https://example.org/saw"
S="${WORKDIR}"
LICENSE="public-domain"
SLOT="1"
KEYWORDS="amd64"

src_install() {
	newbin - saw-1 <<<$'#!/bin/sh\necho saw 1'
}
