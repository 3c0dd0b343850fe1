# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="The programs of a small system in one, with a link for each"
HOMEPAGE="https://example.org/boots"
SRC_URI="${P}.tar"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
IUSE="init"
RESTRICT="fetch strip"

RDEPEND="sys-apps/baselayout"

src_install() {
	dobin usr/bin/busybox
	local name
	while read -r name; do
		case ${name} in
			busybox|init) ;;
			sh|cat) if use init; then dosym busybox "/usr/bin/${name}"; fi ;; # else of dash
			*) dosym busybox "/usr/bin/${name}" ;;
		esac
	done < <("${ED}"/usr/bin/busybox --list)
	if use init; then
		dosym ../bin/busybox /usr/sbin/init
	fi
}
