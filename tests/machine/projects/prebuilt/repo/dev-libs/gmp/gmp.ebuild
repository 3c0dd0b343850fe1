# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_BINARIES="libgmp10"
inherit debian-binary

DESCRIPTION="Arithmetic with integers of any size"
SLOT="0/10.4"
