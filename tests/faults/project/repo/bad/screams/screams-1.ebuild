# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Writes what would steer a terminal"
HOMEPAGE="https://example.org/faults"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_compile() {
	printf '\033]0;owned\007\033[2J\033[31mred\033[0m \r\b\x9b31m bell\a\n'
	die $'\033[2J\033]52;c;b3duZWQ=\007it failed'
}
