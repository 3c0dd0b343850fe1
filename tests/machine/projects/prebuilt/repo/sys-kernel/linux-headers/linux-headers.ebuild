# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_BINARIES="linux-libc-dev"
inherit debian-binary

DESCRIPTION="Headers of the kernel, for the C library"
SLOT="0"

RDEPEND="sys-apps/baselayout"
