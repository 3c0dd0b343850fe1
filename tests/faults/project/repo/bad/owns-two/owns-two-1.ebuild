# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Owns a file that another package owns as well"
HOMEPAGE="https://example.org/faults"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_install() {
	newbin - owned-twice <<<"#!/bin/sh
echo ${PN}"
}
