# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_PV="${PV}+dfsg1"
DEBIAN_ORIG_EXT="xz"
inherit debian-orig plain-autotools

DESCRIPTION="Users, groups and their passwords"
HOMEPAGE="https://github.com/shadow-maint/shadow"

LICENSE="BSD"
SLOT="0/4"
KEYWORDS="amd64"

PLAIN_AUTOTOOLS_CONF=(
	--disable-static
	--disable-account-tools-setuid
	--disable-man
	--without-acl
	--without-attr
	--without-audit
	--without-libpam
	--without-selinux
	--without-su
	--without-btrfs
	--with-group-name-max-length=32
)

src_install() {
	plain-autotools_src_install
	# Coreutils has it.
	rm -f "${ED}"/{,usr/}bin/groups || die
}
