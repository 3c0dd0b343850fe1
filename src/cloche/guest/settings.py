"""Portage's settings in every sandbox, as plain data.

For Portage, the environment overrides make.conf, and FEATURES stack, so a machine's own settings
apply unless they are in this list. A changed value changes what is built: the guest's code is part
of every action key.
"""

from __future__ import annotations

import os
from pathlib import Path

#: The sandbox isolates; Portage must not try to do so again, nor lock or sync for other processes,
#: which a sandbox does not have, nor leave logs in a root that becomes a layer.
FEATURES_OFF = (
    # isolation
    "sandbox", "usersandbox", "network-sandbox", "network-sandbox-proxy", "ipc-sandbox",
    "pid-sandbox", "mount-sandbox", "selinux", "sesandbox", "fakeroot",
    # other processes
    "ebuild-locks", "distlocks", "merge-sync", "merge-wait", "parallel-fetch", "parallel-install",
    "observability", "jobserver-token", "cgroup",
    # data kept between builds, and helpers on other machines
    "ccache", "distcc", "distcc-pump", "icecream", "keepwork", "keeptemp", "noclean", "noauto",
    # logs, news and backups
    "news", "binpkg-logs", "unmerge-logs", "split-log", "split-elog", "compress-build-logs",
    "clean-logs", "unmerge-backup", "downgrade-backup", "buildpkg", "buildpkg-live", "buildsyspkg",
    # the host signs, verifies and mirrors
    "binpkg-signing", "binpkg-request-signature", "gpg-keepalive", "webrsync-gpg", "mirror",
    "lmirror", "force-mirror", "digest", "assume-digests", "getbinpkg", "test-fail-continue",
    # packages are read; the index is not trusted
    "pkgdir-index-trusted",
    # users inspect failed builds; the sandbox is removed as a whole
    "fail-clean", "candy", "notitles", "warn-on-large-env",
)  # fmt: skip
FEATURES_ON = ("binpkg-multi-instance", "strict", "userfetch", "userpriv", "xattr")

ENVIRONMENT: dict[str, str] = {
    "FEATURES": " ".join([f"-{name}" for name in FEATURES_OFF] + list(FEATURES_ON)),
    "PORTAGE_TMPDIR": "/var/tmp",  # noqa: S108 - a directory of the sandbox
    "DISTDIR": "/run/cloche/distdir",
    "PKGDIR": "/run/cloche/out",
    "BINPKG_FORMAT": "gpkg",
    "BINPKG_COMPRESS": "zstd",
    # The result of zstd depends on whether it uses threads; JOBS comes from MAKEOPTS.
    "BINPKG_COMPRESS_FLAGS": "-T1 -3",
    "PORTAGE_ELOG_SYSTEM": "",
    "PORTAGE_ELOG_CLASSES": "log warn error qa",  # without info, as emerge has it
    "PORTAGE_NICENESS": "",
    "PORTAGE_IONICE_COMMAND": "",
    "PORTAGE_SCHEDULING_POLICY": "",
    "EMERGE_DEFAULT_OPTS": "",
    "EBUILD_DEFAULT_OPTS": "",
    "EMERGE_WARNING_DELAY": "0",
    "CLEAN_DELAY": "0",
    "PORTAGE_RO_DISTDIRS": "",
    "PORTAGE_BINHOST": "",
    "GENTOO_MIRRORS": "",
    "EPREFIX": "",
    "PORTAGE_CONFIGROOT": "/",
    # The jobserver (make wrapper) and the host (NINJAOPTS) set the number of jobs.
    "MAKEOPTS": "",
    "NOCOLOR": "true",
    "NO_COLOR": "1",
    # Hooks that run Python must not leave byte code in a layer; compileall still works.
    "PYTHONDONTWRITEBYTECODE": "1",
    # Python programs, including Portage, write sets in an order that depends on it.
    "PYTHONHASHSEED": "0",
}

#: Only for merging: a layer has the package's files, not ._cfg0000_ copies.
MERGING: dict[str, str] = {"CONFIG_PROTECT": "-*"}

#: The only variables that are kept from the host's environment. Portage does not save proxies in a
#: package's environment.
TAKEN = (
    "PATH", "HOME", "LC_ALL", "TZ", "TERM", "SOURCE_DATE_EPOCH", "NINJAOPTS", "SSL_CERT_FILE",
    "http_proxy", "https_proxy", "ftp_proxy", "no_proxy",
)  # fmt: skip

_given: dict[str, str] = {}

MAKE_WRAPPER = "/run/cloche/bin/make"


REPOS_CONF = Path("/etc/portage/repos.conf")


def repositories(place: Path = REPOS_CONF) -> str | None:
    """The machine's repos.conf as one text; None if there is none.

    As PORTAGE_REPOSITORIES it replaces all other configuration: a machine that does not name the
    repository gentoo, Portage's default, does not have it.
    """
    files = [place] if place.is_file() else sorted(place.glob("[!.]*[!~]"))
    texts = [file.read_text(encoding="utf-8") for file in files if file.is_file()]
    return "\n".join(texts) if texts else None


def apply(root: str = "/", **more: str) -> None:
    """Set the environment. Call this before Portage is imported.

    A ``root`` of its own is also SYSROOT (PMS 8.1), unless ``more`` says otherwise: build
    dependencies of type DEPEND are in it.
    """
    for name in os.environ.keys() - set(TAKEN):
        del os.environ[name]
    os.environ.update(ENVIRONMENT)
    if Path(MAKE_WRAPPER).exists():
        os.environ["MAKE"] = MAKE_WRAPPER
    if (text := repositories()) is not None:
        os.environ["PORTAGE_REPOSITORIES"] = text
    _given["root"] = root
    os.environ.update({"ROOT": root, "SYSROOT": root, **more})


def root() -> Path:
    """The root that packages go into: what `apply` was given, never a watched emerge's own ROOT."""
    return Path(_given.get("root", "/"))


def own_root() -> bool:
    """Whether that is a root of its own, beside the seed's."""
    return root() != Path("/")


def epoch() -> int:
    """SOURCE_DATE_EPOCH, the latest time that time stamps may show."""
    return int(os.environ["SOURCE_DATE_EPOCH"])
