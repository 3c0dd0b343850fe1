# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Writes until there is no room left"
HOMEPAGE="https://example.org/faults"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_compile() {
	local i=0
	while dd if=/dev/zero of=big.$((i++)) bs=1M count=16 status=none; do
		sleep 0.05
	done
	die "no room left"
}
