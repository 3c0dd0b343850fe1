# Written by cloche for the [kernel] of a machine: no other command knows this repository.
EAPI=8

DESCRIPTION="The Linux kernel of a machine, built from its sources and its configuration"
HOMEPAGE="https://www.kernel.org/"
LICENSE="GPL-2"
SLOT="0"
KEYWORDS="@KEYWORDS@"
RESTRICT="binchecks strip test"
BDEPEND="@BDEPEND@"
IDEPEND="@IDEPEND@"
RDEPEND="@RDEPEND@"

SOURCES="@SOURCES@"
CONFIG="@CONFIG@"
TARGET="@TARGET@"
FRAGMENTS=( @FRAGMENTS@ )
CERTIFICATE="@CERTIFICATE@"

S=${WORKDIR}

@COMMON@
# Make build/.config of the first configuration and the fragments. `cloche kernel` does this, too.
merged() {
	mkdir build || die
	if [[ -n ${CERTIFICATE} ]]; then # CONFIG_SYSTEM_TRUSTED_KEYS names it
		mkdir build/certs && cp "${FILESDIR}/${CERTIFICATE}" build/certs/cloche.pem || die
	fi
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
	linux INSTALL_MOD_PATH="${ED}" DEPMOD=true modules_install
	rm -f "${ED}/lib/modules/$(release)"/{build,source} || die
	# sys-kernel/cloche-kernel-build needs it.
	gzip --best --no-name --stdout build/Module.symvers > symvers.gz || die
	insinto "/lib/modules/$(release)"
	doins symvers.gz
}

# Packages of modules do this, too: the index belongs to nobody.
pkg_preinst() {
	RELEASE=$(cd "${ED}/boot" && echo config-*)
	RELEASE=${RELEASE#config-}
}

pkg_postinst() {
	[[ -d ${EROOT}/lib/modules/${RELEASE} ]] && type -P depmod >/dev/null || return 0
	depmod -b "${EROOT:-/}" -F "${EROOT}/boot/System.map-${RELEASE}" "${RELEASE}" || die
}
