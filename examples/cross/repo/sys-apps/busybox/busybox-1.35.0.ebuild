# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_EXT="bz2"
inherit debian-orig

DESCRIPTION="A shell and the common tools of a small system in one program"
HOMEPAGE="https://busybox.net/"

LICENSE="GPL-2"
SLOT="0"
KEYWORDS="arm arm64 riscv"

RDEPEND="sys-libs/glibc"
DEPEND="${RDEPEND}"

# What a system needs to look around in; all other options are off.
BUSYBOX_APPLETS=(
	ASH ASH_TEST ASH_PRINTF ASH_ECHO SH_IS_ASH SH_MATH
	BASENAME CAT CHMOD CP CUT DF DMESG ECHO ENV EXPR FALSE FIND GREP HEAD ID KILL LN LS MKDIR MOUNT
	MV PRINTF PS PWD READLINK RM RMDIR SED SEQ SLEEP SORT SYNC TAIL TEST TOUCH TR TRUE UMOUNT UNAME
	UNIQ WC XARGS
	FEATURE_EDITING FEATURE_FANCY_HEAD FEATURE_LS_SORTFILES LFS LONG_OPTS SHOW_USAGE FEATURE_VERBOSE_USAGE BUSYBOX
)

busybox_make() {
	local native=( HOSTCC="${BUILD_CC:-gcc}" HOSTCFLAGS="-O1" )
	emake CROSS_COMPILE="${CHOST}-" "${native[@]}" SKIP_STRIP=y EXTRA_CFLAGS="${CFLAGS}" V=1 "$@"
}

src_configure() {
	busybox_make allnoconfig
	local name
	for name in "${BUSYBOX_APPLETS[@]}"; do
		sed -i "/^# CONFIG_${name} is not set\$/d" .config || die
		echo "CONFIG_${name}=y" >> .config || die
	done
	yes '' | busybox_make oldconfig
}

src_compile() {
	busybox_make busybox busybox.links
}

src_install() {
	dobin busybox
	local link
	while read -r link; do
		dosym busybox "/usr/bin/${link##*/}"
	done < busybox.links
	[[ -L ${ED}/usr/bin/sh ]] || die "there is no shell"
}

