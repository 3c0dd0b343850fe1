# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_BINARIES="libmpfr6"
inherit debian-binary

DESCRIPTION="Floating point numbers of any precision"
SLOT="0/6"

RDEPEND="dev-libs/gmp:="
