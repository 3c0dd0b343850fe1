# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="A distribution kernel: the image of Debian's for virtual machines"
HOMEPAGE="https://example.org/kernel"
SRC_URI="debian-kernel-${PV}.tar"
S=${WORKDIR}

LICENSE="GPL-2"
SLOT="${PV}"
KEYWORDS="amd64"
RESTRICT="binchecks fetch strip test"

src_install() {
	insinto /boot
	doins boot/*
}
