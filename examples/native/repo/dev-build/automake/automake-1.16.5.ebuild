# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_PN="automake-1.16"
DEBIAN_ORIG_EXT="xz"
inherit debian-orig plain-autotools

DESCRIPTION="A generator of Makefile.in"
HOMEPAGE="https://www.gnu.org/software/automake/"

LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="amd64"

DEPEND="
	dev-build/autoconf
	dev-lang/perl
"
RDEPEND="${DEPEND}"
