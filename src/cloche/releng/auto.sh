# Reads the configuration of catalyst-auto with bash(1), with the functions that catalyst-auto has.
# Arguments: the files, "--", and "show", or "hook" with a function and its arguments. Other values
# are in the environment; see auto_conf.py. "show" writes NAME and VALUE to standard output, a NUL
# after each, and redirects the output of the files to standard error.

set -o pipefail

update_symlinks() { :; }
pre_build() { update_symlinks; }
post_build() { :; }

# Of file names that differ only in their date, the latest.
give_latest_from_dates() {
	LC_ALL=C sort | awk '{
		key = $0
		sub(/-20[0-9].*/, "", key)
		if (NR > 1 && key != last) print line
		last = key
		line = $0
	} END { if (NR) print line }'
}

# Replaces the date in a name by "latest".
convert_filename() {
	sed -E 's:-20[0-9]+(\.[0-9]+|T[0-9]+Z)?:-latest:g'
}

# rsync(1) to a directory on UPLOAD_HOST over ssh, or to a daemon (rsync://). The host's key has to be
# known, or signed in DNS. Arguments: the destination, options, "--", the files.
cloche_rsync() {
	local place=$1
	local ssh=(ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o VerifyHostKeyDNS=yes)
	shift
	[[ -z ${UPLOAD_KEY} ]] || ssh+=(-i "${UPLOAD_KEY}")
	[[ -z ${UPLOAD_PORT} ]] || ssh+=(-p "${UPLOAD_PORT}")
	[[ -z ${UPLOAD_KNOWN_HOSTS} ]] || ssh+=(-o "UserKnownHostsFile=${UPLOAD_KNOWN_HOSTS}")
	local shell=()
	if [[ ${place} != *://* ]]; then # with --rsh, rsync would run a daemon through ssh
		place="${UPLOAD_USER:+${UPLOAD_USER}@}${UPLOAD_HOST}:${place}"
		shell=(--rsh="${ssh[*]@Q}")
	fi
	if [[ ${nonetwork} != 0 ]]; then
		echo "would upload to ${place}: ${*@Q}"
		return
	fi
	rsync "${shell[@]}" --archive --omit-dir-times --delay-updates "${@}" "${place}"
	local status=$?
	[[ ${status} == 0 ]] || cloche_upload_status=${status}
	return "${status}"
}

upload() {
	cloche_rsync "${UPLOAD_DEST}" -- "$@"
}

# Arguments: a PKGDIR, and its directory below the mirror's binary packages.
upsync_binpackages() {
	cloche_rsync "${UPLOAD_BINPACKAGES}/$2/" --delete --delete-after --mkpath --min-size=1 \
		--checksum -- "$1"/*
}

while [[ $1 != -- ]]; do
	cloche_files+=("$1")
	shift
done
shift
cloche_mode=$1
shift
cloche_words=("$@")
set --
exec 3>&1
[[ ${cloche_mode} == hook ]] || exec 1>&2

for cloche_file in "${cloche_files[@]}"; do
	# shellcheck source=/dev/null
	source "${cloche_file}"
done

if [[ ${cloche_mode} == hook ]]; then
	# The hooks of releng's configurations end with popd, whose status says nothing of an upload.
	cloche_upload_status=0
	"${cloche_words[@]}" || exit
	exit "${cloche_upload_status}"
fi
for cloche_name in "${cloche_words[@]}" "${!SET_@}"; do
	if [[ $(declare -p "${cloche_name}" 2>/dev/null) =~ ^declare\ -[A-Za-z]*[aA] ]]; then
		echo "${cloche_name} is an array, which catalyst-auto cannot read: write its words in one string" >&2
		exit 1
	fi
	[[ ! -v ${cloche_name} ]] || printf '%s\0%s\0' "${cloche_name}" "${!cloche_name}" >&3
done
