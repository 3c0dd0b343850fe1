# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

# @ECLASS: pypi.eclass
# @MAINTAINER:
# The cloche authors
# @SUPPORTED_EAPIS: 8
# @BLURB: as much of Gentoo's eclass of this name as autogen's ebuilds use
# @DESCRIPTION:
# Gentoo's own eclass is not a part of this repository. This one has its names and is
# written for tests. Nothing is ever fetched from the address that it makes.

# @ECLASS_VARIABLE: PYPI_PN
# @PRE_INHERIT
# @DESCRIPTION:
# The project, PN by default.
: "${PYPI_PN:=${PN}}"

# @ECLASS_VARIABLE: PYPI_NO_NORMALIZE
# @PRE_INHERIT
# @DEFAULT_UNSET
# @DESCRIPTION:
# If set, the name of the sdist is that of the project as it is.

# @FUNCTION: pypi_sdist_url
# @USAGE: [--no-normalize] [<project> [<version> [<suffix>]]]
# @DESCRIPTION:
# Print the address of an sdist.
pypi_sdist_url() {
	local plain=
	[[ ${1} == --no-normalize ]] && { plain=1; shift; }
	local project=${1:-${PYPI_PN}} version=${PV} name
	version=${version/_alpha/a}
	version=${version/_beta/b}
	version=${version/_rc/rc}
	version=${2:-${version/_p/.post}}
	name=${project,,}
	[[ ${plain} ]] && name=${project} || name=${name//[-.]/_}
	echo "https://example.org/${project}/${name}-${version}${3:-.tar.gz}"
}

if [[ ${PYPI_NO_NORMALIZE} ]]; then
	SRC_URI=$(pypi_sdist_url --no-normalize)
else
	SRC_URI=$(pypi_sdist_url)
fi
S=${SRC_URI##*/}
S=${WORKDIR}/${S%.tar.gz}
