# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_PV="${PV}-stable"
inherit debian-orig plain-autotools

DESCRIPTION="Call a function when something happens to a file descriptor"
HOMEPAGE="https://libevent.org/"
S="${WORKDIR}/${P}-stable"

LICENSE="BSD"
SLOT="0/2.1-7" # as in libevent-2.1.so.7
KEYWORDS="amd64"

PLAIN_AUTOTOOLS_CONF=(
	--disable-doxygen-html
	--disable-libevent-regress
	--disable-openssl
	--disable-samples
)

src_configure() {
	# Only its tests compress; but it would tell the world in a header whether
	# it found zlib.
	export ac_cv_header_zlib_h=no
	plain-autotools_src_configure
}

src_install() {
	plain-autotools_src_install
	# A generator of C from RPC descriptions, in Python.
	rm "${ED}"/usr/bin/event_rpcgen.py || die
}
