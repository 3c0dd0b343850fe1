# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_BINARIES="libtinfo6"
inherit debian-binary

DESCRIPTION="Terminals, windows and forms on a screen of characters"
SLOT="0/6"
IUSE="minimal"
