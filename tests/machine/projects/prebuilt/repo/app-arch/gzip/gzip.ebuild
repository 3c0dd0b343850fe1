# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_BINARIES="gzip"
inherit debian-binary

DESCRIPTION="The compression of zlib, as a program"
SLOT="0"
