# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

# @ECLASS: distutils-r1.eclass
# @MAINTAINER:
# The cloche authors
# @SUPPORTED_EAPIS: 8
# @BLURB: as much of Gentoo's eclass of this name as autogen's ebuilds use
# @DESCRIPTION:
# Gentoo's own eclass is not a part of this repository. This one has its names and is
# written for tests. The target is the seed's Python, that of Debian 12 or 13; a package is
# built for one of them. A wheel is built by the backend's hook (PEP 517) and unpacked,
# without a network.

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

# @ECLASS_VARIABLE: DISTUTILS_USE_PEP517
# @PRE_INHERIT
# @REQUIRED
# @DESCRIPTION:
# The backend.

# @ECLASS_VARIABLE: PYTHON_USEDEP
# @OUTPUT_VARIABLE
# @DESCRIPTION:
# What follows a dependency that must have the same targets.
PYTHON_USEDEP=
IUSE=
RDEPEND=
for _distutils_each in python3_11 python3_13; do
	has "${_distutils_each}" "${PYTHON_COMPAT[@]}" || continue
	PYTHON_USEDEP+="${PYTHON_USEDEP:+,}python_targets_${_distutils_each}(-)?"
	IUSE+=" python_targets_${_distutils_each}"
	RDEPEND+=" python_targets_${_distutils_each}? ( dev-lang/python:${_distutils_each/python3_/3.} )"
done
unset _distutils_each
[[ ${IUSE} ]] || die "neither for Python 3.11 nor 3.13"
REQUIRED_USE="^^ ( ${IUSE} )"
BDEPEND="${RDEPEND}"
case ${DISTUTILS_USE_PEP517} in
	flit) BDEPEND+=" dev-python/flit-core[${PYTHON_USEDEP}]" ;;
	flit_scm) BDEPEND+=" dev-python/flit-core[${PYTHON_USEDEP}] dev-python/flit-scm[${PYTHON_USEDEP}]" ;;
	poetry) BDEPEND+=" dev-python/poetry-core[${PYTHON_USEDEP}]" ;;
	setuptools) BDEPEND+=" >=dev-python/setuptools-78.1.0[${PYTHON_USEDEP}]" ;;
	jupyter) BDEPEND+=" dev-python/jupyter-packaging[${PYTHON_USEDEP}]" ;;
	maturin) BDEPEND+=" dev-util/maturin[${PYTHON_USEDEP}]" ;;
	hatchling|pbr|pdm-backend|meson-python|scikit-build-core|sip|uv-build)
		BDEPEND+=" dev-python/${DISTUTILS_USE_PEP517}[${PYTHON_USEDEP}]"
		;;
	standalone) ;;
	*) die "no backend ${DISTUTILS_USE_PEP517}" ;;
esac
# What follows needs a tool of these.
[[ -n ${DISTUTILS_EXT} ]] && IUSE+=" debug"

# @FUNCTION: python_gen_cond_dep
# @USAGE: <dependency> <pattern>...
# @DESCRIPTION:
# Print a dependency for the targets that match a pattern.
python_gen_cond_dep() {
	local dep=${1} pattern target
	shift
	for target in python3_11 python3_13; do
		has "${target}" "${PYTHON_COMPAT[@]}" || continue
		for pattern; do
			pattern=${pattern#python}
			if [[ ${pattern/_/.} == "${target/python3_/3.}" ]]; then
				echo "python_targets_${target}? ( ${dep//\$\{PYTHON_USEDEP\}/python_targets_${target}(-)} )"
			fi
		done
	done
}

# @FUNCTION: distutils_enable_tests
# @USAGE: <runner>
# @DESCRIPTION:
# Let src_test run the tests by pytest or unittest.
distutils_enable_tests() {
	local plugin deps=${RDEPEND}
	_DISTUTILS_TEST_RUNNER=${1}
	if [[ ${1} == pytest ]]; then
		deps+=" dev-python/pytest[${PYTHON_USEDEP}]"
		for plugin in "${EPYTEST_PLUGINS[@]}"; do
			deps+=" dev-python/${plugin}[${PYTHON_USEDEP}]"
		done
	fi
	if [[ -n ${deps} ]]; then
		IUSE+=" test"
		RESTRICT+=" !test? ( test )"
		BDEPEND+=" test? ( ${deps} )"
	fi
	return 0
}

# @FUNCTION: _distutils_python
# @INTERNAL
# @DESCRIPTION:
# Set EPYTHON, and _DISTUTILS_SITE: where Python of the seed looks for modules before it looks
# at those of its distribution.
_distutils_python() {
	EPYTHON=python3.11
	in_iuse python_targets_python3_13 && use python_targets_python3_13 && EPYTHON=python3.13
	_DISTUTILS_SITE=/usr/local/lib/${EPYTHON}/dist-packages
}

# @FUNCTION: distutils-r1_src_compile
# @DESCRIPTION:
# Build a wheel, and unpack it below BUILD_DIR, scripts included.
distutils-r1_src_compile() {
	_distutils_python
	export BUILD_DIR=${WORKDIR}/build
	mkdir -p "${BUILD_DIR}/wheel" || die
	${EPYTHON} - "${BUILD_DIR}" "${_DISTUTILS_SITE}" <<-'EOF' || die "no wheel"
		import configparser, importlib, os, pathlib, sys, tomllib, zipfile
		build, site = sys.argv[1:]
		legacy = "setuptools.build_meta:__legacy__"
		table = {}
		if os.path.exists("pyproject.toml"):
		    table = tomllib.loads(pathlib.Path("pyproject.toml").read_text()).get("build-system", {})
		name, _, inner = table.get("build-backend", legacy).partition(":")
		sys.path[:0] = table.get("backend-path", [])
		if inner == "__legacy__":
		    sys.path.insert(0, os.getcwd())
		    sys.argv[1:] = []
		backend = importlib.import_module(name)
		for part in filter(None, inner.split(".")):
		    backend = getattr(backend, part)
		wheel = backend.build_wheel(f"{build}/wheel")
		root = pathlib.Path(build, "install")
		with zipfile.ZipFile(f"{build}/wheel/{wheel}") as archive:
		    for info in archive.infolist():
		        top, _, rest = info.filename.partition(".data/")
		        kind, _, inside = rest.partition("/")
		        places = {"purelib": site, "platlib": site, "data": "/usr", "scripts": "/usr/bin"}
		        place = pathlib.Path(places[kind] if rest else site, inside or info.filename)
		        target = root / place.relative_to("/")
		        if info.is_dir():
		            continue
		        target.parent.mkdir(parents=True, exist_ok=True)
		        target.write_bytes(archive.read(info))
		        target.chmod(0o755 if kind == "scripts" else 0o644)
		for points in root.glob(f".{site}/*.dist-info/entry_points.txt"):
		    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
		    parser.optionxform = str
		    parser.read(points)
		    for script, where in dict(parser["console_scripts"] if "console_scripts" in parser else {}).items():
		        module, _, call = where.partition(":")
		        target = root / "usr/bin" / script
		        target.parent.mkdir(parents=True, exist_ok=True)
		        target.write_text(f"#!{sys.executable}\nimport sys\nfrom {module} import {call.split('.')[0]}\nsys.exit({call}())\n")
		        target.chmod(0o755)
	EOF
}

# @FUNCTION: epytest
# @USAGE: [<argument>...]
# @DESCRIPTION:
# Run pytest with the plugins and without the tests that the ebuild names.
epytest() {
	local each args=( -v -p no:cacheprovider )
	for each in "${EPYTEST_PLUGINS[@]}"; do
		args+=( -p "$(_distutils_plugin "${each}")" )
	done
	for each in "${EPYTEST_DESELECT[@]}"; do
		args+=( --deselect "${each}" )
	done
	for each in "${EPYTEST_IGNORE[@]}"; do
		args+=( --ignore "${each}" )
	done
	${EPYTHON} -m pytest "${args[@]}" "${@}" || die "tests failed"
}

# @FUNCTION: distutils-r1_src_test
# @DESCRIPTION:
# Run the tests against what was built: by the ebuild's python_test, if it has one.
distutils-r1_src_test() {
	_distutils_python
	local -x PYTHONPATH=${BUILD_DIR}/install${_DISTUTILS_SITE} PYTHONDONTWRITEBYTECODE=1
	local -x PATH=${BUILD_DIR}/install/usr/bin:${PATH} PYTEST_DISABLE_PLUGIN_AUTOLOAD=1
	if declare -F python_test >/dev/null; then
		python_test
		return
	fi
	case ${_DISTUTILS_TEST_RUNNER} in
		pytest)
			epytest
			;;
		unittest)
			${EPYTHON} -m unittest discover -v |& tee "${T}/tests.log"
			(( PIPESTATUS[0] == 0 )) || die "tests failed"
			! grep -q "^Ran 0 tests" "${T}/tests.log" || die "no tests were found"
			;;
	esac
}

# @FUNCTION: _distutils_plugin
# @INTERNAL
# @USAGE: <package>
# @DESCRIPTION:
# Print the module of a plugin, as its entry point says.
_distutils_plugin() {
	${EPYTHON} - "${1}" <<-EOF || die
		import importlib.metadata, sys
		found = importlib.metadata.distribution(sys.argv[1]).entry_points.select(group="pytest11")
		print(next(iter(found)).value)
	EOF
}

# @FUNCTION: distutils-r1_src_install
# @DESCRIPTION:
# Install what was built.
distutils-r1_src_install() {
	cp -a "${BUILD_DIR}/install/." "${D}" || die
	einstalldocs
}

fi

EXPORT_FUNCTIONS src_compile src_test src_install
