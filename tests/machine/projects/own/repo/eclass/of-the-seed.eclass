# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

# @ECLASS: of-the-seed.eclass
# @MAINTAINER:
# The cloche authors
# @SUPPORTED_EAPIS: 8
# @BLURB: makes a package of what Debian's packages have in the seed

S="${WORKDIR}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
RESTRICT="strip"

# @FUNCTION: install_of_seed
# @USAGE: <package> ...
# @DESCRIPTION:
# Install the files of Debian packages. On the seed /lib, /bin and /sbin are links into /usr.
install_of_seed() {
	local package list file
	for package; do
		for list in /var/lib/dpkg/info/${package}{,:amd64}.list; do
			[[ -e ${list} ]] && cat "${list}"
		done
	done | while read -r file; do
		[[ -L ${file} || -f ${file} ]] && echo "${file}"
	done | sed -E 's,^/(bin|sbin|lib|lib64)/,/usr/\1/,; s,^/,,' | sort -u > "${T}"/files || die
	[[ -s ${T}/files ]] || die "the seed has none of $*"
	tar -C / -cf - --no-recursion -T "${T}"/files | tar -C "${D}" -xf - || die
	rm -rf "${D}"/usr/share/{doc,lintian,man} || die
}
