# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

# @ECLASS: debian-binary.eclass
# @MAINTAINER:
# The workbench <workbench@example.org>
# @SUPPORTED_EAPIS: 8
# @BLURB: a package made of what Debian has compiled
# @DESCRIPTION:
# Unpacks Debian's packages with binutils, tar and xz, and puts their files where
# native's baselayout has them. debian-pool.eclass, which the test writes, knows the
# present name of each file on a mirror: DEBIAN_POOL[gcc-12]=pool/main/…

case ${EAPI} in
	8) ;;
	*) die "${ECLASS}: EAPI ${EAPI:-0} not supported" ;;
esac

if [[ -z ${_DEBIAN_BINARY_ECLASS} ]]; then
_DEBIAN_BINARY_ECLASS=1

inherit debian-pool

# @ECLASS_VARIABLE: DEBIAN_BINARIES
# @PRE_INHERIT
# @REQUIRED
# @DESCRIPTION:
# The names of Debian's packages.
for _name in ${DEBIAN_BINARIES}; do
	SRC_URI+=" mirror://debian/${DEBIAN_POOL[${_name}]}"
done
unset _name

HOMEPAGE="https://example.org/prebuilt"
LICENSE="GPL-2"
KEYWORDS="amd64"
RESTRICT="strip"
S="${WORKDIR}/root"
QA_PREBUILT="*"

# @FUNCTION: debian-binary_src_unpack
# @DESCRIPTION:
# A .deb is an archive of ar(1) with a tarball inside.
debian-binary_src_unpack() {
	mkdir "${S}" || die
	local file
	for file in ${A}; do
		ar x "${DISTDIR}/${file}" data.tar.xz || die
		tar -xf data.tar.xz -C "${S}" || die
	done
}

# @FUNCTION: debian-binary_src_prepare
# @DESCRIPTION:
# Move /bin, /lib and so on to /usr, and leave out documentation and settings.
debian-binary_src_prepare() {
	default
	local name link
	for name in bin sbin lib lib64; do
		[[ -d ${name} ]] || continue
		mkdir -p "usr/${name}" && cp -a "${name}/." "usr/${name}" && rm -r "${name}" || die
	done
	rm -rf etc var usr/share/{applications,bug,doc,doc-base,gcc,gdb,info,lintian} || die
	rm -rf usr/share/{locale,man,menu,pixmaps} || die
	# With a SYSROOT, an absolute link would lead out of it.
	while IFS= read -r -d '' link; do
		name=$(readlink "${link}")
		ln -sfnr "usr/${name#/}" "${link}" || die
	done < <(find . -type l -lname '/lib*' -print0)
}

# @FUNCTION: debian-binary_src_install
# @DESCRIPTION:
# Install all that is left.
debian-binary_src_install() {
	cp -a usr "${ED}" || die
}

# @FUNCTION: debian-binary_links
# @USAGE: <name>[=<program>]...
# @DESCRIPTION:
# Link programs of /usr/bin by the names that Gentoo has for them, with CHOST and without.
debian-binary_links() {
	local each
	for each; do
		[[ ${each} != *=* ]] || dosym "${each#*=}" "/usr/bin/${each%=*}"
		dosym "${each#*=}" "/usr/bin/${CHOST}-${each%=*}"
	done
}

fi

EXPORT_FUNCTIONS src_unpack src_prepare src_install
