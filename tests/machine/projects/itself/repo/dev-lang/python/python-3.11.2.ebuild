# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit of-the-seed

DESCRIPTION="Python of the seed, with the libraries of its modules"
HOMEPAGE="https://example.org/itself"

SLOT="3.11"
IUSE="+sqlite +ssl"

RDEPEND="
	sys-devel/gcc
	sys-libs/glibc
"

src_install() {
	install_of_seed python3-minimal python3.11-minimal libpython3.11-{minimal,stdlib} \
		libbz2-1.0 libexpat1 libffi8 liblzma5 libsqlite3-0 libssl3 libuuid1 zlib1g
	# Modules for libraries that are not here.
	rm "${D}"/usr/lib/python3.11/lib-dynload/{_curses,_curses_panel,_dbm,nis,readline}.*.so || die
	# Modules that are scripts, too, for /usr/bin/env.
	chmod -x "${D}"/usr/lib/python3.11/*.py || die
}
