# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DISTUTILS_USE_PEP517=hatchling
PYTHON_COMPAT=( python3_{11..13} )
PYTHON_REQ_USE="sqlite,ssl(+)"

inherit distutils-r1 optfeature

DESCRIPTION="Builds Gentoo packages, stages and images under glass"
HOMEPAGE="https://example.org/cloche"

# `make dist` copies this file under the name of the release.
if [[ ${PV} == 9999 ]]; then
	EGIT_REPO_URI="https://example.org/cloche.git"
	inherit git-r3
else
	SRC_URI="https://example.org/cloche/${P}.tar.gz"
	KEYWORDS="~amd64"
fi

LICENSE="GPL-2+"
SLOT="0"

# Without pypi-simple on purpose: only Debian seeds need it, and mmdebstrap; Gentoo
# has neither. Perl runs a script that cloche uses in sandboxes.
RDEPEND="
	dev-lang/perl
	>=app-portage/gemato-20[gpg(+),${PYTHON_USEDEP}]
	>=dev-python/click-8.1[${PYTHON_USEDEP}]
	>=dev-python/msgspec-0.19[${PYTHON_USEDEP}]
	>=dev-python/requests-2.31[${PYTHON_USEDEP}]
"
# The manual is generated from the program's help. An sdist already has it.
[[ ${PV} == 9999 ]] && BDEPEND="${RDEPEND}"

python_prepare_all() {
	distutils-r1_python_prepare_all
	if [[ ${PV} == 9999 ]]; then
		python_setup
		PYTHONPATH=src "${EPYTHON}" -m cloche.cli.share --version "${PV}" share || die
	fi
}

pkg_postinst() {
	optfeature "builds as an ordinary user (newuidmap)" sys-apps/shadow
	optfeature "verifying Gentoo's signatures" sec-keys/openpgp-keys-gentoo-release
	optfeature "repositories that are synced by git" dev-vcs/git
	optfeature "repositories that are synced by rsync" net-misc/rsync
	optfeature "snapshots of repositories as squashfs" sys-fs/squashfs-tools
	optfeature "the sandbox engine bwrap" sys-apps/bubblewrap
	optfeature "the sandbox engines oci and podman" app-containers/crun
	optfeature "the sandbox engine qemu" app-emulation/qemu
}
