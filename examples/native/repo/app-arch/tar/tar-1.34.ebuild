# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_PV="${PV}+dfsg"
DEBIAN_ORIG_EXT="xz"
inherit debian-orig plain-autotools

DESCRIPTION="Many files in one"
HOMEPAGE="https://www.gnu.org/software/tar/"
S="${WORKDIR}/${P}+dfsg"

LICENSE="GPL-3+"
SLOT="0"
KEYWORDS="amd64"

PLAIN_AUTOTOOLS_CONF=(
	--without-posix-acls
	--without-selinux
	--libexecdir="${EPREFIX}/usr/libexec/tar"
)

src_configure() {
	# Its configure refuses to be run by root, who builds in a sandbox.
	FORCE_UNSAFE_CONFIGURE=1 plain-autotools_src_configure
}

src_install() {
	plain-autotools_src_install
	dosym tar /usr/bin/gtar # for Portage's unpack
}
