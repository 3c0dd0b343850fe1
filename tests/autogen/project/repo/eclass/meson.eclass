# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

# @ECLASS: meson.eclass
# @MAINTAINER:
# The cloche authors
# @SUPPORTED_EAPIS: 8
# @BLURB: as much of Gentoo's eclass of this name as autogen's ebuilds use
# @DESCRIPTION:
# Gentoo's own eclass is not a part of this repository. This one has its names and is
# written for tests.

case ${EAPI} in
	8) ;;
	*) die "${ECLASS}: EAPI ${EAPI:-0} not supported" ;;
esac

if [[ -z ${_MESON_ECLASS} ]]; then
_MESON_ECLASS=1

BDEPEND="dev-build/meson dev-build/ninja"

# @VARIABLE: emesonargs
# @DEFAULT_UNSET
# @DESCRIPTION:
# An array of options for meson setup.

# @FUNCTION: meson_use
# @USAGE: <flag> [<option>]
# @DESCRIPTION:
# Print a boolean option for a USE flag.
meson_use() {
	usex "${1}" "-D${2:-${1}}=true" "-D${2:-${1}}=false"
}

# @FUNCTION: meson_feature
# @USAGE: <flag> [<option>]
# @DESCRIPTION:
# Print a feature for a USE flag.
meson_feature() {
	usex "${1}" "-D${2:-${1}}=enabled" "-D${2:-${1}}=disabled"
}

# @FUNCTION: meson_src_configure
# @DESCRIPTION:
# Configure in a directory of its own, without downloads.
meson_src_configure() {
	BUILD_DIR=${WORKDIR}/build
	meson setup --prefix "${EPREFIX}/usr" --libdir "$(get_libdir)" --buildtype plain \
		--wrap-mode nodownload "${emesonargs[@]}" "${BUILD_DIR}" "${S}" || die
}

# @FUNCTION: meson_src_compile
# @DESCRIPTION:
# Compile.
meson_src_compile() {
	meson compile -C "${BUILD_DIR}" -v || die
}

# @FUNCTION: meson_src_test
# @DESCRIPTION:
# Run the tests.
meson_src_test() {
	meson test -C "${BUILD_DIR}" -v || die "tests failed"
}

# @FUNCTION: meson_src_install
# @DESCRIPTION:
# Install, and what einstalldocs finds.
meson_src_install() {
	DESTDIR="${D}" meson install -C "${BUILD_DIR}" || die
	einstalldocs
}

fi

EXPORT_FUNCTIONS src_configure src_compile src_test src_install
