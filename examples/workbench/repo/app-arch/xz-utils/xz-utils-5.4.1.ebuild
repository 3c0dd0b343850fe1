# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_EXT="xz"
inherit debian-orig plain-autotools

DESCRIPTION="The xz compression, as a library and programs"
HOMEPAGE="https://tukaani.org/xz/"
S="${WORKDIR}/xz-${PV}"

LICENSE="public-domain LGPL-2.1+ GPL-2+"
SLOT="0/5" # the number of liblzma.so
KEYWORDS="amd64"

PLAIN_AUTOTOOLS_CONF=( --disable-doc )
