# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_BINARIES="coreutils libacl1 libattr1 libpcre2-8-0 libselinux1"
inherit debian-binary

DESCRIPTION="The basic programs for files, text and the shell"
SLOT="0"

RDEPEND="dev-libs/gmp"
