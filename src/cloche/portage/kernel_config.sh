#!/bin/bash
# Configures a kernel in the root in which it is built, by the functions of its ebuild.
# usage: kernel_config.sh check|config|update|ask
# It leaves in SHARED: log, fault (one line), config, changes, unmet, questions, gone.
set -e
SHARED=/run/cloche/kernel
MODE=$1
BROOT=
WORKDIR=/var/tmp/kernel
CHOST=${CHOST:-$(gcc -dumpmachine)}
CBUILD=${CBUILD:-${CHOST}}

die() {
	[[ -e ${SHARED}/fault ]] || echo "$*" > "${SHARED}/fault"
	exit 2
}

emake() {
	make "$@" || die "make ${*: -1} failed: $(tail -n 1 "${SHARED}/log")"
}

# usage: compare --changes|--gone FILE... - what differs, by the program that checks
compare() {
	python3 -I "${FILESDIR}/@CHECK@" "$1" "$(sources)" "$(cpu)" "${@:2}"
}

# usage: unmet FILE - what of the project's files is not so in the configuration, FILE over them
unmet() (
	cd "${FILESDIR}" && python3 -I @CHECK@ "$(sources)" "$(cpu)" "${WORKDIR}/build/.config" \
		"${CONFIG}" "${FRAGMENTS[@]}" "$1" 2>&1 >/dev/null
)

ebuild=$(echo /var/db/repos/*/sys-kernel/cloche-kernel/*.ebuild)
FILESDIR=${ebuild%/*}/files
mkdir -p "${WORKDIR}"
cd "${WORKDIR}"
exec 3>&1 4>&2 > "${SHARED}/log" 2>&1
. "${ebuild}"

case ${MODE} in
	check)
		merged
		linux olddefconfig
		check
		;;
	config)
		merged
		linux olddefconfig
		cp build/.config before
		linux menuconfig >&3 2>&4
		linux olddefconfig
		compare --changes before build/.config > "${SHARED}/changes"
		unmet "${SHARED}/changes" > "${SHARED}/unmet" || true
		;;
	*)
		FRAGMENTS=()
		merged
		linux helpnewconfig > "${SHARED}/questions"
		compare --gone build/.config > "${SHARED}/gone"
		if [[ ${MODE} == ask ]]; then
			linux oldconfig >&3 2>&4
		fi
		linux olddefconfig
		;;
esac
cp build/.config "${SHARED}/config"
