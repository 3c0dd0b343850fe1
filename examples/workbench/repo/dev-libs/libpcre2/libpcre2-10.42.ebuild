# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_PN="pcre2"
inherit debian-orig plain-autotools

DESCRIPTION="Perl-compatible regular expressions"
HOMEPAGE="https://www.pcre.org/"
S="${WORKDIR}/pcre2-${PV}"

LICENSE="BSD"
SLOT="0/3" # not the number of libpcre2-8.so: it has stayed 0 where this has not
KEYWORDS="amd64"
IUSE="jit +readline zlib"

# For the programs: pcre2grep reads compressed files, pcre2test reads a person.
DEPEND="
	readline? ( sys-libs/readline:= )
	zlib? ( sys-libs/zlib:= )
"
RDEPEND="${DEPEND}"

src_configure() {
	plain-autotools_src_configure \
		$(use_enable jit) \
		$(use_enable readline pcre2test-libreadline) \
		$(use_enable zlib pcre2grep-libz)
}

src_install() {
	plain-autotools_src_install
	# The manual once more, as web pages.
	rm -r "${ED}/usr/share/doc/${PF}/html" || die
}
