# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_BINARIES="libmpc3"
inherit debian-binary

DESCRIPTION="Complex numbers of any precision"
SLOT="0/3"

RDEPEND="dev-libs/gmp:= dev-libs/mpfr:="
