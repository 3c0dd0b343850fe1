# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Takes its log for a file of its own"
HOMEPAGE="https://example.org/faults"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
RESTRICT="userpriv"

# Portage's own log is a file of the sandbox; those above it are what the host gave.
src_compile() {
	echo before
	local fd pid=${PPID}
	while [[ $(< /proc/${pid}/comm) != python3 || $(readlink /proc/${pid}/fd/1) != pipe:* ]]; do
		pid=$(awk '{ print $4 }' /proc/${pid}/stat)
		[[ ${pid} -gt 1 ]] || die "nobody above writes to a pipe"
	done
	for fd in 1 2; do
		truncate -s 0 /proc/${pid}/fd/${fd} 2> /dev/null
		cat /bin/true > /proc/${pid}/fd/${fd}
		chmod 4755 /proc/${pid}/fd/${fd}
		chown 250:250 /proc/${pid}/fd/${fd}
	done
	echo "1 is a $(stat -L -c %F /proc/${pid}/fd/1), 2 is a $(stat -L -c %F /proc/${pid}/fd/2)" |
		sed 's/fifo/pipe/g'
	touch built || die
}

src_install() {
	dobin built
}
