# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="What a build can see of where it runs, and what a program of another package says"
HOMEPAGE="https://example.org/tiny"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
IUSE="long"

RDEPEND="tiny/greet"
BDEPEND="tiny/greet"

src_compile() {
	{
		greet || die
		echo "host $(uname -n), $(id), umask $(umask), zone $(date +%Z), home ${HOME}"
		echo "FOO=${FOO} LANG=${LANG} LC_ALL=${LC_ALL} TZ=${TZ} CFLAGS=${CFLAGS}"
		echo "MAKEFLAGS=${MAKEFLAGS} MAKEOPTS=${MAKEOPTS} PORTAGE_NICENESS=${PORTAGE_NICENESS}"
		printf '%s ' / /etc/* /home/* /root/* /tmp/* /usr/include/*
		sort "${BROOT}"/etc/passwd
		cat "${BROOT}"/etc/host* 
		use long && echo "in full"
		echo
	} > report
}

src_install() {
	insinto /usr/share
	doins report
	# What install(1) does not set is the umask's.
	echo "for the eyes of whoever the umask lets look" > "${ED}"/usr/share/report.umask || die
}
