# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_BINARIES="patch"
inherit debian-binary

DESCRIPTION="Apply a diff"
SLOT="0"
