# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Directories, links and accounts that every root has"
HOMEPAGE="https://example.org/cross"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="arm arm64 riscv"

src_install() {
	local name
	for name in bin lib sbin; do
		keepdir /usr/${name}
		dosym usr/${name} /${name}
	done
	keepdir /boot /dev /etc /home /mnt /proc /run /sys /var/{lib,log}
	dosym ../run /var/run
	diropts -m 0700
	keepdir /root
	diropts -m 1777
	keepdir /tmp /var/tmp
	insinto /etc
	newins - passwd <<< "root:x:0:0:root:/root:/bin/sh"
	newins - group <<< "root:x:0:"
	newins - shells <<< "/bin/sh"
	insopts -m 0640
	newins - shadow <<< "root:*:1::::::"
	newenvd - 50baselayout <<< 'PATH="/usr/sbin:/usr/bin"'
}
