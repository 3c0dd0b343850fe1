"""How differences are judged: a table of rules, of which the first that fits a difference counts.

The table is in the order in which it is read: what no reason excuses (rights), what differs between
any two builds, what follows from a package of another version, then the rest.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from typing import Literal

from cloche.comparison.differences import Difference

Judgement = Literal["wrong", "to look at", "harmless", "left out"]
JUDGEMENTS: tuple[Judgement, ...] = ("wrong", "to look at", "harmless", "left out")
#: Differences of any other judgement mean that the outputs are not equally good.
PASSING: tuple[Judgement, ...] = ("harmless", "left out")

Where = Callable[[Difference], bool]
_SIZE = 10  # per cent by which two builds of a package may differ


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: what it fits, the judgement, the reason.

    It fits a difference of these ``aspects`` whose subject is like one of ``paths`` (``*`` also
    matches slashes; none: any subject), if ``where`` holds.
    """

    name: str
    judgement: Judgement
    reason: str
    aspects: tuple[str, ...]
    paths: tuple[str, ...] = ()
    where: Where | None = None

    def fits(self, difference: Difference) -> bool:
        """Whether this rule is about a difference."""
        return (
            difference.aspect in self.aspects
            and (not self.paths or _like(self.paths)(difference.subject) is not None)
            and (self.where is None or self.where(difference))
        )


@lru_cache(maxsize=256)
def _like(paths: tuple[str, ...]) -> Callable[[str], re.Match[str] | None]:
    return re.compile("|".join(map(translate, paths))).match


def _names_same_place(difference: Difference) -> bool:
    """A link that is spelled otherwise and leads to the same name."""
    above = "/" + posixpath.dirname(difference.subject)
    places = {
        posixpath.normpath(posixpath.join(above, target)).lstrip("/")
        for target in (difference.old, difference.new)
    }
    return len(places) == 1


def _about_as_large(difference: Difference) -> bool:
    sizes = difference.old, difference.new
    if not all(each.isascii() and each.isdigit() and len(each) < 20 for each in sizes):
        return False
    small, large = sorted(map(int, sizes))
    return (large - small) * 100 <= large * _SIZE


_PRESENCE = ("lost", "gained")
_CONTENT = ("content", "text")
_ANY = (*_PRESENCE, *_CONTENT)
_RECORDS = "var/db/pkg/*/*/"
_IN_PACKAGES = ("dependencies", "flags", "repository", "ebuild", "use", "iuse", "implicit-use")
_OF_BUILDS = ("environment.bz2", "FEATURES", "PKGUSE", "REPO_REVISIONS")
_REPEATED = ("CONTENTS", "NEEDED", "NEEDED.ELF.2", "REQUIRES", "PROVIDES", "metadata")
_ELF = ("soname", "needed", "runpath", "interpreter")

RULES: tuple[Rule, ...] = (
    # What no reason excuses
    Rule("setuid", "wrong", "a program runs with other rights: setuid or setgid", ("setuid",)),
    Rule("capability", "wrong", "a program runs with other capabilities", ("capability",)),
    Rule("acl", "wrong", "an access control list lets other users in", ("acl",)),
    Rule("type", "wrong", "a name is of another type", ("type",)),
    Rule("cpu", "wrong", "a program or library is for another CPU", ("cpu",)),
    Rule(
        "resolv-conf",
        "harmless",
        "catalyst copies it from its host; a stage needs none",
        (*_ANY, "mode", "owner"),
        ("etc/resolv.conf",),
    ),
    Rule("mode", "wrong", "other users may read, write or enter", ("mode",)),
    Rule("owner", "wrong", "a file belongs to another user or group", ("owner",)),
    Rule("device", "wrong", "a device node is another device", ("device",)),
    # What differs between any two builds
    Rule(
        "byte-code",
        "left out",
        "Python writes it when a module is loaded, with the time of its source",
        _ANY,
        ("*/__pycache__", "*.pyc", "*.pyo"),
    ),
    Rule("cache", "left out", "a cache of Portage, with times", _ANY, ("var/cache/edb/*",)),
    Rule(
        "linker-cache",
        "left out",
        "ldconfig writes it, with times and in its own order",
        _ANY,
        ("etc/ld.so.cache", "var/cache/ldconfig", "var/cache/ldconfig/*"),
    ),
    Rule("log", "left out", "logs of the build", _ANY, ("var/log/*",)),
    Rule(
        "build-time",
        "left out",
        "when and in which order packages were built",
        _ANY,
        tuple(f"{_RECORDS}{name}" for name in ("BUILD_TIME", "COUNTER", "BINPKGMD5", "BUILD_ID")),
    ),
    Rule(
        "contents-times",
        "left out",
        "only the times in CONTENTS, or the order of its lines",
        ("content",),
        (f"{_RECORDS}CONTENTS",),
        lambda each: each.noise == "record",
    ),
    Rule(
        "repeated-record",
        "left out",
        "it repeats what files hold and need, or other records; these are compared",
        _CONTENT,
        tuple(f"{_RECORDS}{name}" for name in _REPEATED),
    ),
    Rule(
        "image", "left out", "an image whose inside is compared", _CONTENT,
        where=lambda each: each.noise == "opened",
    ),
    # What has no effect
    Rule(
        "build-id", "harmless", "only the build ID, or the name and sum of the debug file",
        ("content",), where=lambda each: each.noise == "build-id",
    ),
    Rule(
        "gzip-time", "harmless", "only the time in the header of gzip",
        ("content",), where=lambda each: each.noise == "gzip-time",
    ),
    Rule(
        "record-comments", "harmless", "only comments, or the order of lines, in a record",
        ("content",), where=lambda each: each.noise == "record",
    ),
    Rule(
        "build-environment",
        "harmless",
        "a record of how Portage was set while it built; what counts is compared itself",
        _ANY,
        tuple(f"{_RECORDS}{name}" for name in _OF_BUILDS),
        lambda each: not each.follows,
    ),
    Rule(
        "link-spelling", "harmless", "a link that leads to the same name", ("target",),
        where=_names_same_place,
    ),
    Rule("hard-links", "harmless", "the same files, otherwise shared", ("links",)),
    Rule(
        "backup",
        "harmless",
        "copies and locks that useradd and groupadd leave",
        _ANY,
        ("etc/.pwd.lock", *(f"etc/{n}-" for n in ("passwd", "group", "shadow", "gshadow"))),
    ),
    Rule(
        "mount-point",
        "harmless",
        "an empty directory that catalyst mounts something on",
        _PRESENCE,
        ("var/cache/binpkgs", "var/cache/distfiles", "var/db/repos/*", "tmp/*", "run/*"),
        lambda each: each.kind == "directory",
    ),
    Rule(
        "empty-list",
        "harmless",
        "an empty list of Portage is the same as none",
        _PRESENCE,
        tuple(
            f"var/lib/portage/{name}"
            for name in ("world", "world_sets", "config", "preserved_libs_registry")
        ),
        lambda each: each.kind == "file" and each.empty,
    ),
    Rule(
        "keep-file",
        "harmless",
        "an empty file that only keeps its directory from being removed",
        _PRESENCE,
        ("*/.keep", "*/.keep_*"),
        lambda each: each.kind == "file" and each.empty,
    ),
    Rule(
        "empty-directory",
        "harmless",
        "an empty directory below /etc/portage is the same as none",
        _PRESENCE,
        ("etc/portage/*",),
        lambda each: each.kind == "directory",
    ),
    Rule(
        "size-within", "harmless", f"the package's size differs by at most {_SIZE} %",
        ("installed-size",), where=_about_as_large,
    ),
    # What follows from another version, which is listed as such
    Rule("etc", "to look at", "a text below /etc differs", ("text",), ("etc/*",)),
    Rule(
        "follows",
        "harmless",
        "a package of another version, or only on one side, brings it; the package is listed",
        (*_ANY, *_IN_PACKAGES, "target", "installed-size", *_ELF),
        where=lambda each: each.follows,
    ),
    # Packages
    Rule("package-lost", "wrong", "a package is gone", ("package-lost",)),
    Rule("package-gained", "to look at", "a package more", ("package-gained",)),
    Rule("version", "to look at", "the trees differ, or the choice of versions", ("version",)),
    Rule("use", "wrong", "the same version with other USE flags", ("use",)),
    Rule("iuse", "to look at", "the same version has other flags", ("iuse",)),
    Rule("implicit-use", "to look at", "flags that profiles add differ", ("implicit-use",)),
    Rule(
        "dependencies", "to look at", "the same version needs others, or another sub-slot",
        ("dependencies",),
    ),
    Rule("sub-slot", "to look at", "what is built against it is built again", ("sub-slot",)),
    Rule("flags", "to look at", "the compiler was called otherwise", ("flags",)),
    Rule("repository", "to look at", "the same version from another repository", ("repository",)),
    Rule("ebuild", "to look at", "the ebuild was changed without a revision", ("ebuild",)),
    Rule(
        "record", "to look at", "another record of Portage differs", _ANY, (f"{_RECORDS}*",),
        lambda each: not each.follows,
    ),
    Rule("size", "to look at", f"the package's size differs by over {_SIZE} %",
         ("installed-size",)),
    # Programs
    Rule("soname", "wrong", "programs look for a library by another name", ("soname",)),
    Rule("interpreter", "wrong", "a program wants another dynamic loader", ("interpreter",)),
    Rule(
        "needed",
        "to look at",
        "a program is linked to other libraries: often found by chance at build time",
        ("needed",),
    ),
    Rule("runpath", "to look at", "a program looks for libraries elsewhere", ("runpath",)),
    # Files
    Rule(
        "root-directory",
        "wrong",
        "a directory of the root itself is gone: a chroot mounts and boots on these",
        ("lost",),
        where=lambda each: each.kind == "directory" and "/" not in each.subject,
    ),
    Rule(
        "directory-lost", "to look at", "a directory is gone", ("lost",),
        where=lambda each: each.kind == "directory",
    ),
    Rule("lost", "wrong", "a file is gone", ("lost",)),
    Rule("gained", "to look at", "a file or directory more", ("gained",)),
    Rule(
        "ownership", "to look at", "a file is of another package, or of none", ("ownership",)
    ),
    Rule("target", "to look at", "a link leads elsewhere", ("target",)),
    Rule("xattr", "to look at", "another extended attribute", ("xattr",)),
    Rule("content", "to look at", "the same file with another content", _CONTENT),
    # Images
    Rule("tree-lost", "wrong", "an image or a partition inside is gone", ("tree-lost",)),
    Rule("tree-gained", "to look at", "an image or a partition more", ("tree-gained",)),
    Rule("about", "to look at", "the image itself is labelled or laid out otherwise", ("about",)),
)  # fmt: skip

NAMES = tuple(rule.name for rule in RULES)


def rule_of(difference: Difference) -> Rule:
    """The rule that judges a difference: the first that fits. There is one for each aspect."""
    return next(rule for rule in RULES if rule.fits(difference))
