# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_EXT="xz"
inherit debian-orig plain-autotools

DESCRIPTION="Compare files"
HOMEPAGE="https://www.gnu.org/software/diffutils/"

LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="amd64"
