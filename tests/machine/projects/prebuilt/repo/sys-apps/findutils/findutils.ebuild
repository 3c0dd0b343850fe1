# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_BINARIES="findutils"
inherit debian-binary

DESCRIPTION="Find files, and run commands on them"
SLOT="0"

# For libselinux.
RDEPEND="sys-apps/coreutils"
