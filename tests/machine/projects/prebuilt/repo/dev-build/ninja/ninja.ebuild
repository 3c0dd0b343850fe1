# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_BINARIES="ninja-build"
inherit debian-binary

DESCRIPTION="A small build system, for what others write"
SLOT="0"
