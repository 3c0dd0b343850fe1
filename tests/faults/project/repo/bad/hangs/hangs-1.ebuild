# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Never ends, in many processes"
HOMEPAGE="https://example.org/faults"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_compile() {
	local i
	for i in 1 2 3; do
		setsid bash -c 'trap "" TERM INT HUP; exec -a faults-hangs-child sleep 3600' &
	done
	bash -c 'trap "" TERM INT HUP; exec -a faults-hangs-main sleep 3600'
}
