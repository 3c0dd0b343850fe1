# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="The workbench's settings for tmux"
HOMEPAGE="https://example.org/workbench/tmux-conf"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

# tmux asks for this after itself (PDEPEND); without tmux it is of no use.
RDEPEND="app-misc/tmux"

src_install() {
	insinto /etc
	doins "${FILESDIR}"/tmux.conf
}
