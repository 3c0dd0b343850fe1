# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_BINARIES="tar"
inherit debian-binary

DESCRIPTION="Many files in one"
SLOT="0"

# For libacl and libselinux.
RDEPEND="sys-apps/coreutils"

src_install() {
	debian-binary_src_install
	dosym tar /usr/bin/gtar # for Portage's unpack
}
