"""How differences are judged: by a table of rules, of which the first that fits applies.

The order of the table matters: privileges, for which no excuse counts; differences between any two
builds; consequences of another version of a package; then the rest.
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
#: A difference of any other judgement means that the new output may not replace the old one.
PASSING: tuple[Judgement, ...] = ("harmless", "left out")

Where = Callable[[Difference], bool]
_SIZE = 10  # per cent by which the sizes of two builds of a package may differ


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: the differences that it fits, the judgement, the reason.

    It fits a difference of one of ``aspects`` whose subject matches one of ``paths`` (``*`` also
    matches slashes; without paths, every subject matches), if ``where`` holds.
    """

    name: str
    judgement: Judgement
    reason: str
    aspects: tuple[str, ...]
    paths: tuple[str, ...] = ()
    where: Where | None = None

    def fits(self, difference: Difference) -> bool:
        """Whether this rule can judge a difference."""
        return (
            difference.aspect in self.aspects
            and (not self.paths or _like(self.paths)(difference.subject) is not None)
            and (self.where is None or self.where(difference))
        )


@lru_cache(maxsize=256)
def _like(paths: tuple[str, ...]) -> Callable[[str], re.Match[str] | None]:
    return re.compile("|".join(map(translate, paths))).match


def _names_same_place(difference: Difference) -> bool:
    """Whether both targets of a link lead to the same name."""
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
    # Privileges, for which no excuse counts
    Rule(
        "setuid", "wrong", "a program runs with different privileges: setuid or setgid",
        ("setuid",),
    ),
    Rule("capability", "wrong", "a program runs with different capabilities", ("capability",)),
    Rule("acl", "wrong", "an access control list grants access to other users", ("acl",)),
    Rule("type", "wrong", "a name has another type", ("type",)),
    Rule("cpu", "wrong", "a program or library is for another CPU", ("cpu",)),
    Rule(
        "resolv-conf",
        "harmless",
        "catalyst copies it from its host; a stage does not need it",
        (*_ANY, "mode", "owner"),
        ("etc/resolv.conf",),
    ),
    Rule("mode", "wrong", "other users may read, write or execute it", ("mode",)),
    Rule("owner", "wrong", "a file belongs to another user or group", ("owner",)),
    Rule("device", "wrong", "a device node is another device", ("device",)),
    # Differences between any two builds
    Rule(
        "byte-code",
        "left out",
        "Python writes it when it loads a module, with the time of the source",
        _ANY,
        ("*/__pycache__", "*.pyc", "*.pyo"),
    ),
    Rule("cache", "left out", "a cache of Portage that contains times", _ANY, ("var/cache/edb/*",)),
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
        "it repeats what files or other records hold, and these are compared",
        _CONTENT,
        tuple(f"{_RECORDS}{name}" for name in _REPEATED),
    ),
    Rule(
        "image", "left out", "an image whose contents are compared", _CONTENT,
        where=lambda each: each.noise == "opened",
    ),
    # Differences without effect
    Rule(
        "build-id", "harmless", "only the build ID, or the name and checksum of the debug file",
        ("content",), where=lambda each: each.noise == "build-id",
    ),
    Rule(
        "gzip-time", "harmless", "only the time in the gzip header",
        ("content",), where=lambda each: each.noise == "gzip-time",
    ),
    Rule(
        "record-comments", "harmless", "only comments or the order of lines in a record",
        ("content",), where=lambda each: each.noise == "record",
    ),
    Rule(
        "build-environment",
        "harmless",
        "a record of Portage's settings during the build; their effects are compared",
        _ANY,
        tuple(f"{_RECORDS}{name}" for name in _OF_BUILDS),
        lambda each: not each.follows,
    ),
    Rule(
        "link-spelling", "harmless", "another spelling of a link to the same name", ("target",),
        where=_names_same_place,
    ),
    Rule("hard-links", "harmless", "the same content, hard-linked differently", ("links",)),
    Rule(
        "backup",
        "harmless",
        "copies and locks that useradd and groupadd leave behind",
        _ANY,
        ("etc/.pwd.lock", *(f"etc/{n}-" for n in ("passwd", "group", "shadow", "gshadow"))),
    ),
    Rule(
        "mount-point",
        "harmless",
        "an empty directory that catalyst uses as a mount point",
        _PRESENCE,
        (
            *("var/cache/binpkgs", "var/cache/distfiles", "var/db/repos", "var/db/repos/*"),
            *("tmp/*", "run/*"),
        ),
        lambda each: each.kind == "directory",
    ),
    Rule(
        "empty-list",
        "harmless",
        "an empty list of Portage has the same effect as a missing one",
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
        "an empty directory below /etc/portage has no effect",
        _PRESENCE,
        ("etc/portage/*",),
        lambda each: each.kind == "directory",
    ),
    Rule(
        "setting-comments",
        "harmless",
        "only comments or empty lines in settings of Portage or in locale.gen",
        _CONTENT,
        where=lambda each: each.noise == "comments",
    ),
    Rule(
        "size-within", "harmless", f"the package's size differs by at most {_SIZE} %",
        ("installed-size",), where=_about_as_large,
    ),
    # Consequences of another version, which is listed itself
    Rule("etc", "to look at", "a text file below /etc differs", ("text",), ("etc/*",)),
    Rule(
        "follows",
        "harmless",
        "it comes with a package of another version or on one side only, which is listed itself",
        (*_ANY, *_IN_PACKAGES, "target", "installed-size", *_ELF),
        where=lambda each: each.follows,
    ),
    # Packages
    Rule("package-lost", "wrong", "a package is missing", ("package-lost",)),
    Rule("package-gained", "to look at", "an additional package", ("package-gained",)),
    Rule(
        "version", "to look at", "the ebuild repositories differ, or other versions were chosen",
        ("version",),
    ),
    Rule("use", "wrong", "the same version with different USE flags", ("use",)),
    Rule("iuse", "to look at", "the same version with different IUSE", ("iuse",)),
    Rule("implicit-use", "to look at", "flags that profiles add differ", ("implicit-use",)),
    Rule(
        "dependencies",
        "to look at",
        "the same version with different dependencies, or another sub-slot of one",
        ("dependencies",),
    ),
    Rule("sub-slot", "to look at", "packages built against it are rebuilt", ("sub-slot",)),
    Rule("flags", "to look at", "different compiler flags", ("flags",)),
    Rule("repository", "to look at", "the same version from another repository", ("repository",)),
    Rule("ebuild", "to look at", "the ebuild was changed without a new revision", ("ebuild",)),
    Rule(
        "record", "to look at", "another record of Portage differs", _ANY, (f"{_RECORDS}*",),
        lambda each: not each.follows,
    ),
    Rule("size", "to look at", f"the package's size differs by over {_SIZE} %",
         ("installed-size",)),
    # Programs
    Rule("soname", "wrong", "programs look for the library under another name", ("soname",)),
    Rule("interpreter", "wrong", "a program uses another dynamic loader", ("interpreter",)),
    Rule(
        "needed",
        "to look at",
        "a program is linked to different libraries, often ones that the build found by chance",
        ("needed",),
    ),
    Rule(
        "runpath", "to look at", "a program looks for libraries in other directories",
        ("runpath",),
    ),
    # Files
    Rule(
        "root-directory",
        "wrong",
        "a top-level directory is missing; mounts and the boot rely on these",
        ("lost",),
        where=lambda each: each.kind == "directory" and "/" not in each.subject,
    ),
    Rule(
        "directory-lost", "to look at", "a directory is missing", ("lost",),
        where=lambda each: each.kind == "directory",
    ),
    Rule("lost", "wrong", "a file is missing", ("lost",)),
    Rule("gained", "to look at", "an additional file or directory", ("gained",)),
    Rule(
        "ownership", "to look at", "a file belongs to another package or to none", ("ownership",)
    ),
    Rule("target", "to look at", "a link has another target", ("target",)),
    Rule("xattr", "to look at", "a different extended attribute", ("xattr",)),
    Rule("content", "to look at", "the same file with different content", _CONTENT),
    # Images
    Rule("tree-lost", "wrong", "an image or partition inside is missing", ("tree-lost",)),
    Rule("tree-gained", "to look at", "an additional image or partition", ("tree-gained",)),
    Rule("about", "to look at", "the label or layout of the image differs", ("about",)),
)  # fmt: skip

NAMES = tuple(rule.name for rule in RULES)


def rule_of(difference: Difference) -> Rule:
    """The rule that judges a difference: the first that fits. One always fits."""
    return next(rule for rule in RULES if rule.fits(difference))
