# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

# @ECLASS: debian-cross.eclass
# @MAINTAINER:
# The cloche authors
# @SUPPORTED_EAPIS: 8
# @BLURB: makes a package for CHOST of the libraries of Debian's cross compiler
# @DESCRIPTION:
# The packages that crossbuild-essential-* depends on have a C library, its headers and the
# compiler's libraries in /usr/TRIPLE. Here they move to where a root of that CPU has them.

case ${EAPI} in
	8) ;;
	*) die "${ECLASS}: EAPI ${EAPI:-0} not supported" ;;
esac

if [[ -z ${_DEBIAN_CROSS_ECLASS} ]]; then
_DEBIAN_CROSS_ECLASS=1

S="${WORKDIR}"
SLOT="0"

# @FUNCTION: install_of_debian
# @USAGE: <name of a package, without -ARCH-cross> ...
# @DESCRIPTION:
# Install the headers and libraries of Debian's packages.
install_of_debian() {
	local triple arch name
	case ${CHOST} in
		aarch64-*) triple=aarch64-linux-gnu arch=arm64 ;;
		arm*-gnueabihf) triple=arm-linux-gnueabihf arch=armhf ;;
		riscv64-*) triple=riscv64-linux-gnu arch=riscv64 ;;
		*) die "Debian has no cross compiler for ${CHOST}" ;;
	esac
	for name; do
		cat /var/lib/dpkg/info/"${name}-${arch}"-cross.list || die "the seed has no ${name} for ${arch}"
	done | sed -n "s,^/usr/${triple}/,,p" | sort -u > "${T}"/names || die
	pushd /usr/"${triple}" >/dev/null || die
	while read -r name; do
		[[ -L ${name} || -f ${name} ]] && echo "${name}"
	done < "${T}"/names > "${T}"/files
	dodir /usr
	tar -cf - --no-recursion -T "${T}"/files | tar -C "${ED}"/usr -xf - || die
	popd >/dev/null || die
	# Linker scripts have the full names of libraries.
	for name in "${ED}"/usr/lib/*.so; do
		if [[ -f ${name} && ! -L ${name} ]] && grep -q "^/\* GNU ld script" "${name}"; then
			sed -i "s,/usr/${triple}/lib/,/usr/lib/,g" "${name}" || die
		fi
	done
}

fi
