# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

# @ECLASS: distutils-r1.eclass
# @MAINTAINER:
# The cloche authors
# @SUPPORTED_EAPIS: 8
# @BLURB: as much of Gentoo's eclass of this name as the overlay uses
# @DESCRIPTION:
# Gentoo's own eclass is not a part of this repository. This one has its names and is
# written for tests. For each target a wheel is built by the backend's hook (PEP 517),
# and installed by dev-python/installer, without a network.

case ${EAPI} in
	8) ;;
	*) die "${ECLASS}: EAPI ${EAPI:-0} not supported" ;;
esac

if [[ -z ${_DISTUTILS_R1_ECLASS} ]]; then
_DISTUTILS_R1_ECLASS=1

# @ECLASS_VARIABLE: PYTHON_COMPAT
# @PRE_INHERIT
# @REQUIRED
# @DESCRIPTION:
# An array of the targets that the package supports.

# @ECLASS_VARIABLE: PYTHON_REQ_USE
# @PRE_INHERIT
# @DEFAULT_UNSET
# @DESCRIPTION:
# USE flags that Python needs.

# @ECLASS_VARIABLE: DISTUTILS_USE_PEP517
# @PRE_INHERIT
# @REQUIRED
# @DESCRIPTION:
# The backend, hatchling, or "no": python_compile installs something else.

# @ECLASS_VARIABLE: PYTHON_USEDEP
# @OUTPUT_VARIABLE
# @DESCRIPTION:
# What follows a dependency that must have the same targets.

_distutils_set_globals() {
	local impl slot flags=( "${PYTHON_COMPAT[@]/#/python_targets_}" )
	IUSE="${flags[*]}"
	REQUIRED_USE="|| ( ${flags[*]} )"
	PYTHON_USEDEP=$(IFS=,; echo "${flags[*]/%/(-)?}")
	for impl in "${PYTHON_COMPAT[@]}"; do
		slot=${impl#python}
		slot=dev-lang/python:${slot/_/.}
		RDEPEND+=" python_targets_${impl}? ( ${slot}${PYTHON_REQ_USE:+[${PYTHON_REQ_USE}]} )"
		BDEPEND+=" python_targets_${impl}? ( ${slot} )"
	done
	[[ ${PN} == installer ]] || BDEPEND+=" dev-python/installer[${PYTHON_USEDEP}]"
	case ${DISTUTILS_USE_PEP517} in
		hatchling) BDEPEND+=" dev-python/hatchling[${PYTHON_USEDEP}]" ;;
		no) ;;
		*) die "no backend ${DISTUTILS_USE_PEP517}" ;;
	esac
}
_distutils_set_globals
unset -f _distutils_set_globals

# @FUNCTION: python_setup
# @DESCRIPTION:
# Set EPYTHON to the first target.
python_setup() {
	local impl
	for impl in "${PYTHON_COMPAT[@]}"; do
		if use "python_targets_${impl}"; then
			EPYTHON=${impl/_/.}
			return
		fi
	done
}

# @FUNCTION: distutils_wheel_install
# @USAGE: <root> <wheel>
# @DESCRIPTION:
# Install a wheel below a directory, where Python of the distribution has its modules.
distutils_wheel_install() {
	"${EPYTHON}" - "${1}" "${2}" <<-'EOF' || die
		import sys, sysconfig
		from installer import install
		from installer.destinations import SchemeDictionaryDestination
		from installer.sources import WheelFile
		root, wheel = sys.argv[1:]
		scheme = "deb_system" if "deb_system" in sysconfig.get_scheme_names() else "posix_prefix"
		paths = sysconfig.get_paths(scheme, vars={"base": "/usr", "platbase": "/usr"})
		with WheelFile.open(wheel) as source:
		    paths["headers"] = f"/usr/include/{source.distribution}"
		    python = f"/usr/bin/python3.{sys.version_info.minor}"
		    target = SchemeDictionaryDestination(paths, python, "posix", destdir=root)
		    install(source, target, {"INSTALLER": b"distutils-r1"})
	EOF
}

# @FUNCTION: distutils-r1_python_prepare_all
# @DESCRIPTION:
# Apply what every ebuild applies.
distutils-r1_python_prepare_all() {
	default
}

# @FUNCTION: distutils-r1_python_compile
# @DESCRIPTION:
# Build a wheel, and install it below BUILD_DIR.
distutils-r1_python_compile() {
	local wheel
	wheel=$("${EPYTHON}" - "${BUILD_DIR}" <<-EOF || die
		import sys
		from ${DISTUTILS_USE_PEP517}.build import build_wheel
		print(build_wheel(sys.argv[1]))
	EOF
	) || die
	distutils_wheel_install "${BUILD_DIR}/install" "${BUILD_DIR}/${wheel}"
}

# @FUNCTION: _distutils_run
# @USAGE: <function>
# @INTERNAL
# @DESCRIPTION:
# Call the ebuild's function of this name, or else the eclass's.
_distutils_run() {
	if declare -f "${1}" > /dev/null; then
		"${1}"
	else
		"distutils-r1_${1}"
	fi
}

# @FUNCTION: distutils-r1_src_prepare
# @DESCRIPTION:
# Prepare the source once for all targets.
distutils-r1_src_prepare() {
	_distutils_run python_prepare_all
}

# @FUNCTION: distutils-r1_src_compile
# @DESCRIPTION:
# Call python_compile for each target.
distutils-r1_src_compile() {
	local impl EPYTHON BUILD_DIR
	for impl in "${PYTHON_COMPAT[@]}"; do
		if use "python_targets_${impl}"; then
			EPYTHON=${impl/_/.}
			BUILD_DIR=${WORKDIR}/${P}-${impl}
			mkdir -p "${BUILD_DIR}" || die
			_distutils_run python_compile
		fi
	done
}

# @FUNCTION: distutils-r1_src_install
# @DESCRIPTION:
# Merge what was built for the targets.
distutils-r1_src_install() {
	local impl
	for impl in "${PYTHON_COMPAT[@]}"; do
		if use "python_targets_${impl}"; then
			cp -a "${WORKDIR}/${P}-${impl}/install/." "${D}" || die
		fi
	done
	einstalldocs
}

fi

EXPORT_FUNCTIONS src_prepare src_compile src_install
