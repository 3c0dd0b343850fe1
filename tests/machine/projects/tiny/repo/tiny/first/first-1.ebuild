# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Enters itself into files that others enter themselves into, too"
HOMEPAGE="https://example.org/tiny"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_install() {
	newbin - first <<<"#!/bin/sh"
}

pkg_preinst() {
	local id=$(wc -l < "${EROOT}"/etc/passwd)
	useradd ${ROOT:+--prefix "${ROOT}"} --system --no-create-home --uid $(( 900 - id )) first || die
}

pkg_postinst() {
	echo "${EPREFIX}/usr/bin/first" >> "${EROOT}"/etc/shells || die
	mkdir -p "${EROOT}"/var/lib/register || die
	echo "first" >> "${EROOT}"/var/lib/register/names || die
}
