# The tree that the package of the sources has installed.
sources() {
	local contents=${BROOT}/var/db/pkg/${SOURCES}/CONTENTS tree
	tree=$(sed -n -E 's|^dir (/usr/src/[^/ ]+)$|\1|p;T;q' "${contents}") && [[ -n ${tree} ]] ||
		die "${SOURCES} has left no directory below /usr/src"
	echo "${BROOT}${tree}"
}

# Linux's own name of the CPU (scripts/subarch.include).
cpu() {
	case ${CHOST%%-*} in
		x86_64 | i?86) echo x86 ;;
		aarch64*) echo arm64 ;;
		arm*) echo arm ;;
		riscv*) echo riscv ;;
		powerpc*) echo powerpc ;;
		s390*) echo s390 ;;
		loongarch*) echo loongarch ;;
		mips*) echo mips ;;
		sparc*) echo sparc ;;
		hppa*) echo parisc ;;
		*) echo "${CHOST%%-*}" ;;
	esac
}

# Nothing of the host, of the clock or of Portage's own variables gets into a kernel.
linux() (
	export KBUILD_BUILD_TIMESTAMP KBUILD_BUILD_USER=root KBUILD_BUILD_HOST=localhost
	export KBUILD_BUILD_VERSION=1 KCONFIG_NOTIMESTAMP=1 GZIP=-n
	KBUILD_BUILD_TIMESTAMP=$(date --utc --date="@${SOURCE_DATE_EPOCH}")
	unset ARCH CFLAGS CPPFLAGS CXXFLAGS LDFLAGS LOCALVERSION
	local options=( ARCH="$(cpu)" O="${WORKDIR}/build" )
	# Of a machine with a root of its own, the plain names are those of compilers for that root.
	[[ -z ${BUILD_CC} ]] || options+=( HOSTCC="${BUILD_CC}" HOSTCXX="${BUILD_CXX:-${BUILD_CC}}" )
	[[ -z ${BUILD_PKG_CONFIG} ]] || options+=( HOSTPKG_CONFIG="${BUILD_PKG_CONFIG}" )
	[[ ${CBUILD:-${CHOST}} == "${CHOST}" ]] || options+=( CROSS_COMPILE="${CHOST}-" )
	# The kernel's Makefile adds to MAKEFLAGS, for which make gives up a jobserver with a bare -j.
	emake ${NINJAOPTS} -s -C "$(sources)" "${options[@]}" "$@"
)

release() {
	cat build/include/config/kernel.release || die
}
