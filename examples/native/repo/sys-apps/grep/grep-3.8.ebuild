# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_EXT="xz"
inherit debian-orig plain-autotools

DESCRIPTION="Find lines that match a pattern"
HOMEPAGE="https://www.gnu.org/software/grep/"

LICENSE="GPL-3+"
SLOT="0"
KEYWORDS="amd64"

PLAIN_AUTOTOOLS_CONF=(
	--disable-perl-regexp
)
