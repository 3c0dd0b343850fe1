# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_PV="${PV}+dfsg"
DEBIAN_ORIG_EXT="xz"
inherit debian-orig plain-autotools

DESCRIPTION="Parse command-line options"
HOMEPAGE="https://github.com/rpm-software-management/popt"

LICENSE="MIT"
SLOT="0"
KEYWORDS="amd64"
IUSE="nls"
