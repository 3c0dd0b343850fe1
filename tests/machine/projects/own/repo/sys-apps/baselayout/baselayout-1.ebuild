# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Directories, links and accounts that every root has"
HOMEPAGE="https://example.org/own"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_install() {
	local name
	for name in bin lib lib64 sbin; do
		keepdir /usr/${name}
		dosym usr/${name} /${name}
	done
	keepdir /dev /proc /sys /run /etc /var/lib/portage
	diropts -m 0700
	keepdir /root
	diropts -m 1777
	keepdir /tmp /var/tmp
	insinto /etc
	newins - passwd <<< "root:x:0:0:root:/root:/bin/sh"
	printf 'root:x:0:\nportage:x:250:\n' | newins - group
	printf 'PATH="/usr/sbin:/usr/bin"\nLDPATH="/usr/lib64:/usr/lib"\n' | newenvd - 50baselayout
}
