# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_PV="${PV}+dfsg"
DEBIAN_ORIG_EXT="xz"
inherit debian-orig plain-autotools

DESCRIPTION="A generator of parsers"
HOMEPAGE="https://www.gnu.org/software/bison/"

LICENSE="GPL-3+"
SLOT="0"
KEYWORDS="amd64"

DEPEND="sys-devel/m4"
RDEPEND="${DEPEND}"
BDEPEND="
	dev-lang/perl
	sys-devel/m4
"

src_prepare() {
	plain-autotools_src_prepare
	# Debian has taken the manual out of the tarball, from which some examples are extracted.
	touch doc/bison.texi || die
	sed -i -e 's/^INFO_DEPS = .*/INFO_DEPS =/; /^all-local: .*\.info\.bak$/d' \
		-e 's/^\t\$(AM_V_at)\$(extract) \$(extracted)$/\ttouch $(extracted)/' Makefile.in || die
}

src_install() {
	plain-autotools_src_install
	rm -rf "${ED}/usr/share/doc/${PF}/examples" || die
}
