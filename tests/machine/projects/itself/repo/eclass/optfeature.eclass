# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

# @ECLASS: optfeature.eclass
# @MAINTAINER:
# The cloche authors
# @SUPPORTED_EAPIS: 8
# @BLURB: as much of Gentoo's eclass of this name as the overlay uses

# @FUNCTION: optfeature
# @USAGE: <feature> <package>
# @DESCRIPTION:
# Say which package a feature needs, if it is not installed.
optfeature() {
	has_version "${2}" || elog "${2} for ${1}"
}
