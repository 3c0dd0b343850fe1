# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=99

DESCRIPTION="Written for a Portage to come"
HOMEPAGE="https://example.org/faults"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
