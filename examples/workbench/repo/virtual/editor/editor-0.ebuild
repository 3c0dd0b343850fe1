# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="An editor, whichever it is"

SLOT="0"
KEYWORDS="amd64"

RDEPEND="|| ( app-editors/nano app-editors/ed )"
