# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

# @ECLASS: python-bytecode.eclass
# @MAINTAINER:
# The native example <native@example.org>
# @SUPPORTED_EAPIS: 8
# @BLURB: compile modules of Python, the same in each build
# @DESCRIPTION:
# A module without its bytecode is compiled whenever a program imports it, and root leaves the
# result in the file system.

case ${EAPI} in
	8) ;;
	*) die "${ECLASS}: EAPI ${EAPI:-0} not supported" ;;
esac

if [[ -z ${_PYTHON_BYTECODE_ECLASS} ]]; then
_PYTHON_BYTECODE_ECLASS=1

# @FUNCTION: python-bytecode_compile
# @USAGE: <python> <directory>
# @DESCRIPTION:
# Compile all modules below a directory of the image. They are valid whatever the time stamps of
# their sources are: cloche changes these. One process, as what it has compiled before decides
# which strings it shares.
python-bytecode_compile() {
	find "${ED}$2" -name __pycache__ -prune -exec rm -r {} + || die
	PYTHONHASHSEED=0 "$1" -m compileall -q -j 1 --invalidation-mode unchecked-hash \
		-d "${EPREFIX}$2" "${ED}$2" || die
}

fi
