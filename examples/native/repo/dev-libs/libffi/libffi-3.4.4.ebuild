# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit debian-orig plain-autotools

DESCRIPTION="Calls of functions whose types are only known at run time"
HOMEPAGE="https://sourceware.org/libffi/"

LICENSE="MIT"
SLOT="0/8"
KEYWORDS="amd64"

PLAIN_AUTOTOOLS_CONF=(
	--disable-static
	--disable-multi-os-directory
)
