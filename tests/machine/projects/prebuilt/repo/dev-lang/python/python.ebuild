# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_BINARIES="python3.11-minimal libpython3.11-minimal libpython3.11-stdlib python3-distutils libexpat1"
inherit debian-binary

DESCRIPTION="The language that Portage is written in"
SLOT="3.11"

RDEPEND="
	app-arch/bzip2
	app-arch/xz-utils
	dev-libs/libffi
	sys-libs/zlib
"
BDEPEND="dev-lang/python:3.11"

src_prepare() {
	debian-binary_src_prepare
	# Modules for libraries that are not here.
	rm usr/lib/python3.11/lib-dynload/{_curses,_curses_panel,_dbm,_hashlib,_sqlite3}.*.so || die
	rm usr/lib/python3.11/lib-dynload/{_ssl,_uuid,nis,readline}.*.so || die
	sed -i -e '1s:/usr/local/bin/python:/usr/bin/python3:' usr/lib/python3.11/cgi.py || die
}

src_install() {
	debian-binary_src_install
	dosym python3.11 /usr/bin/python3
	dosym python3.11 /usr/bin/python
	# Debian's Python looks for modules in a directory of another name.
	insinto /usr/lib/python3/dist-packages
	newins - site-packages.pth <<< /usr/lib/python3.11/site-packages
	keepdir /usr/lib/python3.11/site-packages
	python3.11 -m compileall -q --invalidation-mode unchecked-hash -s "${D}" \
		"${ED}/usr/lib/python3.11" || die
}
