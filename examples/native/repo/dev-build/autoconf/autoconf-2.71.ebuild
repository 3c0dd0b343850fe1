# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit debian-orig plain-autotools

DESCRIPTION="A generator of configure scripts"
HOMEPAGE="https://www.gnu.org/software/autoconf/"

LICENSE="GPL-3+"
SLOT="0"
KEYWORDS="amd64"

DEPEND="
	dev-lang/perl
	sys-devel/m4
"
RDEPEND="${DEPEND}"
