# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_PN="libonig"
inherit debian-orig plain-autotools

DESCRIPTION="Regular expressions for many character encodings"
HOMEPAGE="https://github.com/kkos/oniguruma"

LICENSE="BSD-2"
SLOT="0/5" # the number of libonig.so
KEYWORDS="amd64"
