# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_EXT=xz

inherit debian-orig plain-autotools

DESCRIPTION="A small HTTP proxy"
HOMEPAGE="https://tinyproxy.github.io/"

LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="amd64"

PLAIN_AUTOTOOLS_CONF=( --disable-manpage-support )
