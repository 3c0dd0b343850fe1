# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

# @ECLASS: linux-mod-r1.eclass
# @MAINTAINER:
# The cloche authors
# @SUPPORTED_EAPIS: 8
# @BLURB: As much of the interface of Gentoo's eclass of this name as the tests' modules use
# @DESCRIPTION:
# Dependencies, phases, modlist and modargs are as there; how it does them is not.

case ${EAPI} in
	8) ;;
	*) die "${ECLASS}: EAPI ${EAPI} is not supported" ;;
esac

IUSE="dist-kernel modules-sign +strip"
RDEPEND="sys-apps/kmod[tools]"
DEPEND="virtual/linux-sources"
BDEPEND="sys-apps/kmod[tools]"
IDEPEND="sys-apps/kmod[tools]"

KERNEL_DIR=${KERNEL_DIR:-${ROOT%/}/usr/src/linux}

# @FUNCTION: linux-mod-r1_pkg_setup
# @DESCRIPTION:
# Find the kernel: KV_DIR, KV_OUT_DIR, KV_FULL.
linux-mod-r1_pkg_setup() {
	[[ ${MERGE_TYPE} == binary ]] && return
	[[ -f ${KERNEL_DIR}/Makefile ]] || die "there are no sources at ${KERNEL_DIR}"
	KV_DIR=$(realpath "${KERNEL_DIR}")
	KV_OUT_DIR=${KV_DIR}
	[[ -f ${KV_OUT_DIR}/.config ]] || die "the kernel is not configured"
	[[ -r ${KV_OUT_DIR}/Module.symvers ]] || die "the kernel is not built"
	grep -q '^CONFIG_MODULES=y' "${KV_OUT_DIR}/.config" || die "the kernel has no modules"
	KV_FULL=$(<"${KV_OUT_DIR}/include/config/kernel.release") || die
}

# @FUNCTION: linux-mod-r1_src_compile
# @DESCRIPTION:
# Build the modules of modlist, with the variables of modargs.
linux-mod-r1_src_compile() {
	unset ARCH
	emake CC="$(type -P gcc)" LD="$(type -P ld)" "${modargs[@]}" modules
}

# @FUNCTION: linux-mod-r1_src_install
# @DESCRIPTION:
# Install all modules that were built.
linux-mod-r1_src_install() {
	use strip && { strip --strip-unneeded ./*.ko || die; }
	dostrip -x /lib/modules
	insinto "/lib/modules/${KV_FULL}/extra"
	doins ./*.ko
}

# @FUNCTION: linux-mod-r1_pkg_postinst
# @DESCRIPTION:
# Index the modules of the kernel, where its System.map is: as in Gentoo's, an error is not the end.
linux-mod-r1_pkg_postinst() {
	local map=${EROOT}/boot/System.map-${KV_FULL}
	[[ -f ${map} ]] || map=${EROOT}/lib/modules/${KV_FULL}/build/System.map
	if [[ -f ${map} ]]; then
		depmod -a -b "${EROOT:-/}" -F "${map}" "${KV_FULL}" || eerror "depmod failed"
	else
		eerror "System.map was not found"
	fi
}

EXPORT_FUNCTIONS pkg_setup src_compile src_install pkg_postinst
