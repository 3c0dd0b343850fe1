# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit git-live

DESCRIPTION="Takes its sources from a git repository"
HOMEPAGE="https://example.org/cloche"
EGIT_REPO_URI="HERE/some/pinned.git"

LICENSE="public-domain"
SLOT="0"

reaches_the_host() {
	(exec 3<>/dev/tcp/127.0.0.1/PORT) 2>/dev/null
}

pkg_setup() {
	reaches_the_host && die "There is a network besides the proxy"
	return 0
}

src_install() {
	reaches_the_host && die "There is a network in src_install"
	insinto /usr/share/pinned
	doins greeting
	newins - commit <<< "${EGIT_VERSION}"
}
