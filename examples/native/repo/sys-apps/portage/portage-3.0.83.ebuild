# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit python-bytecode

DESCRIPTION="Gentoo's package manager"
HOMEPAGE="https://wiki.gentoo.org/wiki/Project:Portage"
SRC_URI="${P}.tar.gz"

LICENSE="GPL-2"
SLOT="0"
KEYWORDS="amd64"
# cloche has this file: it makes its Debian seeds of it.
RESTRICT="fetch"

RDEPEND="
	app-arch/bzip2
	app-arch/gzip
	app-arch/tar
	app-arch/xz-utils
	app-arch/zstd
	app-misc/pax-utils
	app-shells/bash
	dev-lang/python:3.11
	sys-apps/coreutils
	sys-apps/file
	sys-apps/findutils
	sys-apps/gawk
	sys-apps/grep
	sys-apps/sed
	sys-devel/patch
"
BDEPEND="
	dev-build/meson
	dev-lang/python:3.11
"

pkg_nofetch() {
	einfo "Get Portage's release from the Python Package Index:"
	einfo "  pip download --no-deps --no-binary=:all: portage==${PV}"
	einfo "and name its directory in [build] distfiles of cloche.toml."
}

src_configure() {
	local packages="${EPREFIX}/usr/lib/python3.11/site-packages"
	meson setup --prefix "${EPREFIX}/usr" --libdir lib --wrap-mode nodownload \
		-Dsystem-wide=true -Dnative-extensions=false -Ddoc=false \
		-Dpython.purelibdir="${packages}" -Dpython.platlibdir="${packages}" \
		. "${WORKDIR}/build" || die
}

src_compile() {
	meson compile -C "${WORKDIR}/build" || die
}

src_install() {
	DESTDIR="${D}" meson install -C "${WORKDIR}/build" --no-rebuild || die
	rm -rf "${ED}"/usr/share/doc || die
	local packages=/usr/lib/python3.11/site-packages name
	for name in _emerge portage; do
		python-bytecode_compile python3.11 "${packages}/${name}"
	done
	keepdir /var/lib/portage /var/db/repos /etc/portage
}
