"""Decides which variables are part of a package's key. Pure functions.

From Portage's effective environment of a package, this keeps what may change the result of its
build or merge. It drops four groups: paths (they are the same in every sandbox; the guest sets
CONFIG_PROTECT for merges itself), jobs and priorities, cosmetics, and what the request or the plan
covers in other ways (USE and USE_EXPAND are in ``use``, metadata in the ebuild's digest). Unknown
variables are kept: a needless rebuild is better than reusing a wrong result. What is dropped does
not reach a build or a merge either (`keyed.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache


def words(text: str) -> frozenset[str]:
    """The words of a list that would be hard to read with quotes."""
    return frozenset(text.split())


PLACES = words(
    """
    BROOT D DISTDIR ECLASSDIR ED EPREFIX EROOT ESYSROOT FILESDIR HOME INFOPATH MANPATH PATH
    PKGDIR PKG_LOGDIR PKG_TMPDIR PORTDIR PORTDIR_OVERLAY PREROOTPATH PWD ROOT ROOTPATH RPMDIR S
    SYSROOT T TEMP TMP TMPDIR WORKDIR EMERGE_LOG_DIR CONFIG_PROTECT CONFIG_PROTECT_MASK
    PYTHONPATH EBUILD O XARGS SHELL BASH_ENV
    """
)
JOBS = words(
    """
    MAKEOPTS NINJAOPTS MAKE
    """
)
COSMETICS = words(
    """
    CLEAN_DELAY COLORTERM COLUMNS DISPLAY EDITOR EMERGE_WARNING_DELAY LESS LESSOPEN LOGNAME
    LS_COLORS NOCOLOR NO_COLOR PAGER TERM TERMCAP USER LINES SSH_AUTH_SOCK ftp_proxy http_proxy
    https_proxy no_proxy RESUMECOMMAND FETCHCOMMAND GENTOO_MIRRORS AUTOCLEAN
    EMERGE_DEFAULT_OPTS EBUILD_DEFAULT_OPTS CONFIG_FILES OLDPWD SHLVL _
    """
)
COVERED = words(
    """
    A AA ACCEPT_CHOSTS ACCEPT_KEYWORDS ACCEPT_LICENSE ACCEPT_PROPERTIES ACCEPT_RESTRICT BDEPEND
    BINPKG_COMPRESS BINPKG_COMPRESS_FLAGS BINPKG_FORMAT BOOTSTRAP_USE BUILD_ID BUILD_PREFIX
    CATEGORY DEFINED_PHASES DEPEND DESCRIPTION EAPI EBUILD_PHASE EBUILD_PHASE_FUNC ECLASS_DEPTH
    EMERGE_FROM ENV_UNSET FEATURES HOMEPAGE IDEPEND INHERITED IUSE IUSE_EFFECTIVE IUSE_IMPLICIT
    KEYWORDS LICENSE MERGE_TYPE P PDEPEND PF PKGUSE PN PR PROFILE_ONLY_VARIABLES PROPERTIES PV
    PVR RDEPEND REPLACED_BY_VERSION REPLACING_VERSIONS REPOSITORY REQUIRED_USE RESTRICT SLOT
    SOURCE_DATE_EPOCH SRC_URI USE USE_EXPAND USE_EXPAND_HIDDEN USE_EXPAND_IMPLICIT
    USE_EXPAND_UNPREFIXED USE_EXPAND_VALUES_ARCH USE_EXPAND_VALUES_ELIBC
    USE_EXPAND_VALUES_KERNEL USE_ORDER LC_ALL LC_COLLATE LC_CTYPE LC_MESSAGES LC_MONETARY
    LC_NUMERIC LC_PAPER LC_TIME LANG TZ PYTHONDONTWRITEBYTECODE PYTHONHASHSEED
    """
)
_DROPPED = PLACES | JOBS | COSMETICS | COVERED
#: Those of them that Portage itself has to read of a machine's configuration.
_READ = words(
    """
    ACCEPT_CHOSTS ACCEPT_KEYWORDS ACCEPT_LICENSE ACCEPT_PROPERTIES ACCEPT_RESTRICT ARCH
    CONFIG_PROTECT CONFIG_PROTECT_MASK ENV_UNSET FEATURES IUSE_IMPLICIT PORTAGE_ARCHLIST
    PROFILE_ONLY_VARIABLES USE USE_EXPAND USE_EXPAND_HIDDEN USE_EXPAND_IMPLICIT
    USE_EXPAND_UNPREFIXED USE_EXPAND_VALUES_ARCH USE_EXPAND_VALUES_ELIBC USE_EXPAND_VALUES_KERNEL
    USE_ORDER
    """
)
#: Portage's internal variables, and variables that configure tools, not a build.
_INTERNAL = re.compile(
    r"^(PORTAGE_|EGENCACHE_|__PORTAGE_|BASH_FUNC_|CCACHE_|DISTCC_|BINPKG_GPG_|GPG_VERIFY_"
    r"|(FETCH|RESUME)COMMAND)"
)
#: Exceptions: settings that do change the result.
_KEPT = words(
    """
    PORTAGE_COMPRESS PORTAGE_COMPRESS_FLAGS PORTAGE_COMPRESS_EXCLUDE_SUFFIXES
    PORTAGE_STRIP_FLAGS PORTAGE_XATTR_EXCLUDE PORTAGE_INST_UID PORTAGE_INST_GID
    PORTAGE_DOHTML_UNWARNED_SKIPPED_EXTENSIONS
    """
)
#: FEATURES of a machine that change an image or a merge, or whether it succeeds.
FEATURES_KEPT = words(
    """
    binpkg-docompress binpkg-dostrip case-insensitive-fs collision-protect compressdebug dedupdebug
    fixlafiles installsources multilib-strict nodoc noinfo noman nostrip packdebug preserve-libs
    protect-owned qa-unresolved-soname-deps
    sfperms splitdebug stricter suidctl test unmerge-orphans userpriv xattr
    """
)


@cache
def matters(name: str) -> bool:
    """Whether a variable of this name may change the result of a build or of a merge."""
    return name not in _DROPPED and (name in _KEPT or not _INTERNAL.match(name))


@cache
def stays_out(name: str) -> bool:
    """Whether what a machine's configuration says of a variable must not reach a build."""
    return not matters(name) and name not in _READ


def effective(variables: Mapping[str, str], use_expand: Iterable[str] = ()) -> dict[str, str]:
    """Those of ``variables`` that may change the result of a build or of a merge, sorted by name.

    ``use_expand`` names the USE_EXPAND variables, which USE already contains. FEATURES is reduced
    to those that matter, and left out if none does.
    """
    expanded = set(use_expand)
    kept = {
        name: value
        for name, value in variables.items()
        if value and name not in expanded and matters(name)
    }
    features = sorted(FEATURES_KEPT.intersection(variables.get("FEATURES", "").split()))
    if features:
        kept["FEATURES"] = " ".join(features)
    return dict(sorted(kept.items()))
