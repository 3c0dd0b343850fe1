# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Keep notes in a text file"
HOMEPAGE="https://example.org/workbench/notes"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

# `notes find` is a program of its own, which in turn asks this one where the
# notes are: neither runs without the other, and either may be built first.
RDEPEND="
	app-misc/notes-find
	virtual/editor
	|| ( sys-apps/less app-editors/nano )
"

src_install() {
	newbin "${FILESDIR}"/notes.sh notes
	insinto /usr/share/bench-index
	newins - notes.json <<<'{"notes": "keep notes in a text file"}'
}
