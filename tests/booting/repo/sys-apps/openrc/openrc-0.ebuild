# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="OpenRC, as Debian compiled it, with its own init"
HOMEPAGE="https://example.org/boots"
SRC_URI="${P}.tar"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
RESTRICT="fetch strip"

RDEPEND="
	app-shells/dash
	sys-apps/busybox
	sys-libs/glibc
"

src_install() {
	mv etc usr "${ED}" || die
	rm "${ED}"/etc/init.d/{rc,rcS} || die # of sysvinit
	keepdir /etc/runlevels/{sysinit,boot,default,nonetwork,shutdown}
	dosym openrc-init /usr/sbin/init
	keepdir /var
	dosym ../run /var/run
	insinto /etc
	newins - fstab <<< "proc /proc proc defaults 0 0"
	newins - insserv.conf <<< "# Debian's OpenRC reads it"
}
