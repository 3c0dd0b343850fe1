# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_BINARIES="diffutils"
inherit debian-binary

DESCRIPTION="Compare files"
SLOT="0"
