# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A test that looks up its own host name"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_test() {
	python3 - > found <<-E || die "its own name does not resolve"
	import socket
	print(socket.gethostname())
	print(socket.gethostbyname(socket.gethostname()))
	for family in socket.AF_INET, socket.AF_INET6:
	    found = socket.getaddrinfo("localhost", 80, family, 1, 0, socket.AI_ADDRCONFIG)
	    print(found[0][4][0])
	print(socket.getservbyname("http"), socket.getprotobyname("tcp"))
	E
	uname -n >> found || die
	echo "${HOSTNAME}" >> found
}

src_install() {
	insinto /usr/share/hosty
	doins found
}
