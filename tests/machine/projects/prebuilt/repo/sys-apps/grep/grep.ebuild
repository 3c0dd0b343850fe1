# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_BINARIES="grep"
inherit debian-binary

DESCRIPTION="Find lines that match a pattern"
SLOT="0"

# For libpcre2.
RDEPEND="sys-apps/coreutils"
