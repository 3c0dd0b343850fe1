# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_EXT="xz"
inherit debian-orig plain-autotools

DESCRIPTION="Programs around file systems, terminals and processes"
HOMEPAGE="https://www.kernel.org/pub/linux/utils/util-linux/"

LICENSE="GPL-2+ LGPL-2.1+ BSD-4"
SLOT="0"
KEYWORDS="amd64"

DEPEND="
	sys-libs/ncurses:=
	sys-libs/zlib:=
"
RDEPEND="${DEPEND}"

PLAIN_AUTOTOOLS_CONF=(
	--disable-static
	--disable-asciidoc
	--disable-poman
	--disable-bash-completion
	--disable-liblastlog2
	--disable-chfn-chsh
	--disable-login
	--disable-nologin
	--disable-su
	--disable-sulogin
	--disable-runuser
	--disable-setpriv
	--disable-pylibmount
	--disable-makeinstall-chown
	--disable-makeinstall-setuid
	--without-python
	--without-systemd
	--without-udev
	--without-cap-ng
	--without-libmagic
	--without-readline
	--without-tinfo
)
