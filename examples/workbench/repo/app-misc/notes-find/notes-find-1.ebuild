# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Find notes by a Lua pattern"
HOMEPAGE="https://example.org/workbench/notes"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

RDEPEND="
	app-misc/notes
	dev-lang/lua:5.4
"

src_install() {
	newbin "${FILESDIR}"/notes-find.lua notes-find
	insinto /usr/share/bench-index
	newins - notes-find.json <<<'{"notes-find": "find notes by a Lua pattern"}'
}
