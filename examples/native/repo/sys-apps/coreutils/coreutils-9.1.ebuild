# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_EXT="xz"
inherit debian-orig plain-autotools

DESCRIPTION="The basic programs for files, text and the shell"
HOMEPAGE="https://www.gnu.org/software/coreutils/"

LICENSE="GPL-3+"
SLOT="0"
KEYWORDS="amd64"

PLAIN_AUTOTOOLS_CONF=(
	--disable-acl
	--disable-xattr
	--disable-libcap
	--without-openssl
	--without-gmp
	--without-selinux
	--enable-no-install-program="kill,uptime"
	--enable-install-program="arch,hostname"
)

src_configure() {
	# Its configure refuses to be run by root, who builds in a sandbox.
	FORCE_UNSAFE_CONFIGURE=1 plain-autotools_src_configure
}
