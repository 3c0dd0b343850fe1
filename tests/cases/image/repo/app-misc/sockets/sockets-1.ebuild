# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Has what Portage does not merge"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_install() {
	keepdir /opt/sockets/dir
	cd "${ED}/opt/sockets" || die
	python3 - <<-P || die
	import os, socket
	socket.socket(socket.AF_UNIX).bind("socket")
	os.setxattr("dir", "user.colour", b"red")
	P
}
