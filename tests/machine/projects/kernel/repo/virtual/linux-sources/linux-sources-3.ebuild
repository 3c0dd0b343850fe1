# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Virtual for Linux kernel sources"
SLOT="0"
KEYWORDS="amd64"

RDEPEND="|| ( sys-kernel/tiny-sources sys-kernel/debian-kernel )"
