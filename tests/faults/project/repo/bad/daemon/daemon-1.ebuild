# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Leaves a daemon behind in a session of its own"
HOMEPAGE="https://example.org/faults"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_compile() {
	setsid bash -c '
		trap "" TERM INT HUP
		(exec -a faults-daemon sleep 3600) </dev/null >/dev/null 2>&1 &
		disown -a
	' || die
	sleep 0.5
	grep -l '^faults-daemon' /proc/[0-9]*/cmdline || die "it did not start"
	echo "the daemon runs"
	touch built || die
}

src_install() {
	dobin built
}

# This one keeps the log open as well.
pkg_postinst() {
	setsid bash -c '(exec -a faults-daemon sleep 3600) & disown -a'
}
