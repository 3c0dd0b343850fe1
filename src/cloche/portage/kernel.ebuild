# Written by cloche for the [kernel] of a machine: no other command knows this repository.
EAPI=8

DESCRIPTION="The Linux kernel of a machine, built from its sources and its configuration"
HOMEPAGE="https://www.kernel.org/"
LICENSE="GPL-2"
SLOT="0"
KEYWORDS="@KEYWORDS@"
RESTRICT="binchecks strip test"
BDEPEND="@BDEPEND@"
RDEPEND="@RDEPEND@"

SOURCES="@SOURCES@"
CONFIG="@CONFIG@"
TARGET="@TARGET@"
FRAGMENTS=( @FRAGMENTS@ )

S=${WORKDIR}

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

# Make build/.config of the first configuration and the fragments. `cloche kernel` does this, too.
merged() {
	mkdir build || die
	if [[ -n ${CONFIG} ]]; then
		cp "${FILESDIR}/${CONFIG}" build/.config || die
	else
		linux "${TARGET}"
	fi
	if (( ${#FRAGMENTS[@]} )); then
		# It writes temporary files to its working directory.
		(
			cd build &&
				sh "$(sources)/scripts/kconfig/merge_config.sh" -m -O . .config \
					"${FRAGMENTS[@]/#/${FILESDIR}/}"
		) || die "merge_config.sh failed"
	fi
}

# Die with the first line of the configuration that the kernel did not take.
check() {
	local wrong
	wrong=$(
		cd "${FILESDIR}" &&
			python3 -I @CHECK@ "$(sources)" "$(cpu)" "${WORKDIR}/build/.config" \
				"${CONFIG}" "${FRAGMENTS[@]}"
	) || die "${wrong:-the configuration could not be checked}"
}

src_configure() {
	merged
	linux olddefconfig
	check
}

src_compile() {
	linux all
}

src_install() {
	local image
	image=build/$(linux image_name) || die
	insinto /boot
	newins "${image}" "vmlinuz-$(release)"
	newins build/System.map "System.map-$(release)"
	newins build/.config "config-$(release)"
	grep -q '^CONFIG_MODULES=y' build/.config || return 0
	if grep -q '=m$' build/.config && ! type -P depmod >/dev/null; then
		die "modules need depmod, of sys-apps/kmod"
	fi
	linux INSTALL_MOD_PATH="${ED}" modules_install
	rm -f "${ED}/lib/modules/$(release)"/{build,source} || die
}
