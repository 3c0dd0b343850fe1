# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

# @ECLASS: git-live.eclass
# @MAINTAINER:
# The cloche authors
# @SUPPORTED_EAPIS: 8
# @BLURB: as much of Gentoo's git eclass as tests use
# @DESCRIPTION:
# Fetches the head of a git repository into a store of bare repositories below DISTDIR, and unpacks
# it from there: with the variables and in the places of Gentoo's eclass.

case ${EAPI} in
	8) ;;
	*) die "${ECLASS}: EAPI ${EAPI:-0} not supported" ;;
esac

PROPERTIES+=" live"
BDEPEND="dev-vcs/git[curl]"

# @FUNCTION: git-live_src_unpack
# @DESCRIPTION:
# Fetch, unless EVCS_OFFLINE is set, and unpack.
git-live_src_unpack() {
	local name=${EGIT_REPO_URI#*://*/}
	name=${name%.git}
	name=${name//\//_}

	local override=EGIT_OVERRIDE_COMMIT_${name^^}
	local wanted=${!override:-${EGIT_COMMIT:-refs/git-r3/HEAD}}
	local ref=refs/git-r3/${CATEGORY}/${PN}/${SLOT%/*}/__main__
	local store=${EGIT3_STORE_DIR:-${PORTAGE_ACTUAL_DISTDIR:-${DISTDIR}}/git3-src}
	local -x GIT_DIR=${store}/${name}.git

	if [[ ! -d ${GIT_DIR} ]]; then
		[[ ${EVCS_OFFLINE} ]] && die "No local clone of ${EGIT_REPO_URI}"
		mkdir -p "${store}" || die
		git init --quiet --bare || die
	fi
	if [[ ! ${EVCS_OFFLINE} ]]; then
		einfo "Fetching ${EGIT_REPO_URI} ..."
		git fetch "${EGIT_REPO_URI}" "+HEAD:refs/git-r3/HEAD" \
			|| die "Unable to fetch from any of EGIT_REPO_URI"
	fi
	git update-ref --no-deref "${ref}" "${wanted}" || die "Referencing ${wanted} failed"
	EGIT_VERSION=$(git rev-parse --verify "${ref}") || die
	export EGIT_VERSION

	mkdir -p "${S}" || die
	git archive "${ref}" | tar -x -C "${S}"
	[[ ${PIPESTATUS[*]} == "0 0" ]] || die "Unpacking ${EGIT_VERSION} failed"
}

EXPORT_FUNCTIONS src_unpack
