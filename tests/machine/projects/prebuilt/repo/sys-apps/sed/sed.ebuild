# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_BINARIES="sed"
inherit debian-binary

DESCRIPTION="Edit a stream of lines"
SLOT="0"

# For libacl and libselinux.
RDEPEND="sys-apps/coreutils"
