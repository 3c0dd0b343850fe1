# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit of-the-seed

DESCRIPTION="Perl of the seed, as small as Debian has it"
HOMEPAGE="https://example.org/itself"

RDEPEND="sys-libs/glibc"

src_install() {
	install_of_seed perl-base
}
