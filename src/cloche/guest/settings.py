"""How Portage is set in every sandbox: plain data, in this one place.

Portage lets the environment win over make.conf, and stacks FEATURES upon it, so a machine's own
settings hold wherever this list is silent. Whoever changes a value here changes what is built: the
guest's code is part of every action key.
"""

from __future__ import annotations

import os
from pathlib import Path

#: Isolation comes from outside; Portage must not try to set it up again, nor lock or sync for
#: neighbours that a sandbox does not have, nor leave logs in a root that becomes a layer.
FEATURES_OFF = (
    # isolation
    "sandbox", "usersandbox", "network-sandbox", "network-sandbox-proxy", "ipc-sandbox",
    "pid-sandbox", "mount-sandbox", "selinux", "sesandbox", "fakeroot",
    # neighbours
    "ebuild-locks", "distlocks", "merge-sync", "merge-wait", "parallel-fetch", "parallel-install",
    "observability", "jobserver-token", "cgroup",
    # things kept between builds, and helpers on other machines
    "ccache", "distcc", "distcc-pump", "icecream", "keepwork", "keeptemp", "noclean", "noauto",
    # logs, news and backups
    "news", "binpkg-logs", "unmerge-logs", "split-log", "split-elog", "compress-build-logs",
    "clean-logs", "unmerge-backup", "downgrade-backup", "buildpkg", "buildpkg-live", "buildsyspkg",
    # what is signed or mirrored is the host's matter
    "binpkg-signing", "binpkg-request-signature", "gpg-keepalive", "webrsync-gpg", "mirror",
    "lmirror", "force-mirror", "digest", "assume-digests", "getbinpkg", "test-fail-continue",
    # a package directory is read, not believed
    "pkgdir-index-trusted",
    # a failed build is looked at by its user; the sandbox cleans itself
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
    "PORTAGE_ELOG_CLASSES": "log warn error qa",  # not what einfo says, as emerge has it
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
    "ROOT": "/",
    "EPREFIX": "",
    "PORTAGE_CONFIGROOT": "/",
    # Parallel work is the jobserver's (the make wrapper) and the host's (NINJAOPTS).
    "MAKEOPTS": "",
    "NOCOLOR": "true",
    "NO_COLOR": "1",
    # A hook that runs Python must not leave byte code in a layer; compileall does not mind.
    "PYTHONDONTWRITEBYTECODE": "1",
    # The order of sets is part of what Python programs write, Portage among them.
    "PYTHONHASHSEED": "0",
}

#: For merging alone: a layer is made of what the package brings, not of ._cfg0000_ copies.
MERGING: dict[str, str] = {"CONFIG_PROTECT": "-*"}

#: All that is taken over from the host's environment; whatever else is in it goes. Portage keeps
#: proxies out of what it saves.
TAKEN = (
    "PATH", "HOME", "LC_ALL", "TZ", "TERM", "SOURCE_DATE_EPOCH", "NINJAOPTS", "SSL_CERT_FILE",
    "http_proxy", "https_proxy", "ftp_proxy", "no_proxy",
)  # fmt: skip

MAKE_WRAPPER = "/run/cloche/bin/make"


REPOS_CONF = Path("/etc/portage/repos.conf")


def repositories(place: Path = REPOS_CONF) -> str | None:
    """The machine's repos.conf as one text; None where there is none.

    Given to Portage as PORTAGE_REPOSITORIES it stands alone: Portage's own default, a repository
    named gentoo, is then no part of a machine that does not name it.
    """
    files = [place] if place.is_file() else sorted(place.glob("[!.]*[!~]"))
    texts = [file.read_text(encoding="utf-8") for file in files if file.is_file()]
    return "\n".join(texts) if texts else None


def apply(**more: str) -> None:
    """Put the settings into the environment. Portage must not have been imported yet."""
    for name in os.environ.keys() - set(TAKEN):
        del os.environ[name]
    os.environ.update(ENVIRONMENT)
    if Path(MAKE_WRAPPER).exists():
        os.environ["MAKE"] = MAKE_WRAPPER
    if (text := repositories()) is not None:
        os.environ["PORTAGE_REPOSITORIES"] = text
    os.environ.update(more)


def epoch() -> int:
    """SOURCE_DATE_EPOCH, the one moment that time stamps are allowed to show."""
    return int(os.environ["SOURCE_DATE_EPOCH"])
