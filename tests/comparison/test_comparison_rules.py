"""Each rule judges the differences that it is for, and leaves similar ones to other rules."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from outputs_made import (
    Names,
    device,
    directory,
    elf,
    file,
    hard_link,
    link,
    package,
    tarball,
)
from tests.support import ROOT

from cloche.comparison.comparison import Tree, compare
from cloche.comparison.differences import ASPECTS
from cloche.comparison.inventory import Inventory
from cloche.comparison.outputs import read_output
from cloche.comparison.rules import JUDGEMENTS, NAMES, RULES

Pair = tuple[Names, Names]
CAPABILITY = "\x01\x00\x00\x02\x00\x20\x00\x00" + "\x00" * 12  # cap_net_raw=ep
GZIP = b"\x1f\x8b\x08\x00%s\x02\x03content"


@dataclass(frozen=True)
class Case:
    """Two pairs of outputs. The rule judges ``fires``; the rule ``instead`` judges ``other``, which
    looks similar (empty: the outputs are equal). Only differences of the name ``at`` count, if any.
    """

    fires: Pair
    other: Pair
    instead: str
    at: str = ""


def one(name: str, old: object, new: object) -> Pair:
    """A pair of outputs that differ in one name; None where a side lacks it."""
    sides = ({name: each} if each is not None else {} for each in (old, new))
    return tuple({"usr": directory(), **side} for side in sides)  # type: ignore[return-value]


def packages(old: dict[str, str] | None, new: dict[str, str] | None, cpv: str = "a/b-1") -> Pair:
    """Two outputs with one package whose records differ; None: without the package."""
    sides = (package(cpv, **each) if each is not None else {} for each in (old, new))
    return tuple({"usr": directory(), **side} for side in sides)  # type: ignore[return-value]


def record(name: str, old: str | None, new: str | None) -> Pair:
    return packages({name: old} if old is not None else {}, {name: new} if new is not None else {})


def with_package(old: Names, new: Names, *owned: str) -> Pair:
    """Two outputs with a package that has another version in the new one."""
    return ({**old, **package("a/b-1", *owned)}, {**new, **package("a/b-2", *owned)})


MERGED_USR = {
    "usr": directory(), "usr/bin": directory(), "bin": link("usr/bin"), "usr/bin/a": file()
}  # fmt: skip
LIB = "usr/lib64/liba.so.1"
CASES: dict[str, Case] = {
    "setuid": Case(
        one("usr/su", file(mode=0o4755), file(mode=0o755)),
        one("usr/su", file(mode=0o755), file(mode=0o700)), "mode",
    ),
    "capability": Case(
        one("usr/ping", file(xattrs={"security.capability": CAPABILITY}), file()),
        one("usr/ping", file(xattrs={"user.a": "b"}), file()), "xattr",
    ),
    "acl": Case(
        one("usr/a", file(xattrs={"SCHILY.acl.access": ""}), file(xattrs={
            "system.posix_acl_access": "\x02\x00\x00\x00\x01\x00\x06\x00"})),
        one("usr/a", file(xattrs={"user.a": "b"}), file()), "xattr",
    ),
    "type": Case(one("usr/a", file(), link("b")), one("usr/a", file(), file()), ""),
    "cpu": Case(
        one(LIB, file(elf(machine=62)), file(elf(machine=183))),
        one(LIB, file(elf(code=b"1")), file(elf(code=b"2"))), "content",
    ),
    "resolv-conf": Case(
        one("etc/resolv.conf", file(), file(mode=0o600)),
        one("etc/resolv.conf", file(), file(uid=0, xattrs={"user.a": "b"})), "xattr",
    ),
    "mode": Case(one("usr/a", directory(0o755), directory(0o700)),
                 one("usr/a", link("b"), link("b")), ""),
    "owner": Case(one("usr/a", file(uid=1), file()), one("usr/a", file(), file()), ""),
    "device": Case(one("dev/a", device(1, 3), device(1, 5)),
                   one("dev/a", device(1, 3), device(1, 3)), ""),
    "byte-code": Case(one("usr/__pycache__/a.pyc", file("a"), None),
                      one("usr/a.py", file("a"), None), "lost"),
    "cache": Case(one("var/cache/edb/mtimedb", file("a"), file("b")),
                  one("var/cache/man/index", file("a"), file("b")), "content"),
    "linker-cache": Case(one("etc/ld.so.cache", file(b"\0a"), file(b"\0b")),
                         one("etc/ld.so.conf", file("a"), file("b")), "etc"),
    "log": Case(one("var/log/emerge.log", None, file("a")),
                one("var/lib/log", None, file("a")), "gained"),
    "build-time": Case(record("BUILD_TIME", "1", "2"), record("DESCRIPTION", "1", "2"), "record"),
    "contents-times": Case(
        ({**package("a/b-1", f"obj /usr/a {'0' * 32} 1")},
         {**package("a/b-1", f"obj /usr/a {'0' * 32} 2")}),
        ({**package("a/b-1", f"obj /usr/a {'0' * 32} 1")},
         {**package("a/b-1", f"obj /usr/a {'1' * 32} 1")}), "repeated-record",
    ),
    "repeated-record": Case(record("PROVIDES", "x86_64: a.so.1", "x86_64: a.so.2"),
                            record("PROVIDES", "x86_64: a.so.1", None), "record"),
    "image": Case(one("image.squashfs", file("a"), file("b")),
                  one("usr/a", file("a"), file("b")), "content"),
    "build-id": Case(
        one(LIB, file(elf(build_id=b"1")), file(elf(build_id=b"2"))),
        one(LIB, file(elf(build_id=b"1", code=b"1")), file(elf(build_id=b"2", code=b"2"))),
        "content",
    ),
    "gzip-time": Case(
        one("usr/a.gz", file(GZIP % b"1234"), file(GZIP % b"5678")),
        one("usr/a.gz", file(GZIP % b"1234"), file(GZIP % b"5678" + b"!")), "content",
    ),
    "record-comments": Case(record("b-1.ebuild", "a=1\n# b\n", "a=1\n"),
                            record("b-1.ebuild", "a=1\n", "a=2\n"), "record"),
    "build-environment": Case(record("FEATURES", "sandbox", "usersandbox"),
                              record("INSTALL_MASK", "/usr/a", "/usr/b"), "record"),
    "link-spelling": Case(one("usr/bin/a", link("../lib/a"), link("/usr/lib/a")),
                          one("usr/bin/a", link("../lib/a"), link("/lib/a")), "target"),
    "hard-links": Case(
        ({"usr/a": file("x"), "usr/b": hard_link("./usr/a")},
         {"usr/a": file("x"), "usr/b": file("x")}),
        ({"usr/a": file("x"), "usr/b": hard_link("./usr/a")},
         {"usr/b": file("x"), "usr/a": hard_link("./usr/b")}), "",
    ),
    "backup": Case(one("etc/passwd-", file("a"), None), one("etc/passwd", file("a"), None), "lost"),
    "mount-point": Case(one("var/db/repos/gentoo", directory(), None),
                        one("var/db/sets", directory(), None), "directory-lost"),
    "empty-list": Case(one("var/lib/portage/world", file(), None),
                       one("var/lib/portage/world", file("a/b\n"), None), "lost"),
    "keep-file": Case(one("usr/x/.keep_a_b-0", file(), None),
                      one("usr/x/.keep_a_b-0", file("a"), None), "lost"),
    "empty-directory": Case(one("etc/portage/env", directory(), None),
                            one("etc/other", directory(), None), "directory-lost"),
    "setting-comments": Case(
        one("etc/portage/make.conf", file('# old\nUSE="a"\n'), file('USE="a"\n\n# new\n')),
        one("etc/portage/make.conf", file('USE="a\n# b"\n'), file('USE="a\n# c"\n')), "etc",
    ),
    "size-within": Case(record("SIZE", "1000", "1099"), record("SIZE", "1000", "1200"), "size"),
    "etc": Case(one("etc/a", file("a"), file("b")), one("usr/a", file("a"), file("b")), "content"),
    "follows": Case(
        with_package({"usr/a": file("1")}, {"usr/a": file("2")}, "usr/a"),
        with_package({"usr/a": file("1")}, {"usr/a": file("2")}), "content",
        at="usr/a",
    ),
    "package-lost": Case(packages({}, None), packages({}, {}), ""),
    "package-gained": Case(packages(None, {}), packages({}, {}), ""),
    "version": Case(with_package({}, {}), packages({}, {}), ""),
    "use": Case(
        packages({"IUSE": "+a b", "USE": "a"}, {"IUSE": "+a b", "USE": "a b"}),
        packages({"IUSE": "a", "USE": "a x86"}, {"IUSE": "a", "USE": "a"}), "implicit-use",
    ),
    "iuse": Case(packages({"IUSE": "a"}, {"IUSE": "a b"}),
                 packages({"IUSE": "a"}, {"IUSE": "+a"}), ""),
    "implicit-use": Case(packages({"USE": "amd64"}, {"USE": "arm64"}),
                         packages({"USE": "a b"}, {"USE": "b a"}), ""),
    "dependencies": Case(record("RDEPEND", "x/y:0/1=", "x/y:0/2="),
                         record("RDEPEND", "x/y  z/z", "x/y z/z"), ""),
    "sub-slot": Case(packages({"SLOT": "0/1"}, {"SLOT": "0/2"}),
                     packages({"SLOT": "0"}, {"SLOT": "0/0"}), ""),
    "flags": Case(record("CFLAGS", "-O2", "-O3"), record("CFLAGS", "-O2", "-O2 "), ""),
    "repository": Case(record("repository", "gentoo", "own"),
                       record("repository", "gentoo", "gentoo\n"), ""),
    "ebuild": Case(record("EAPI", "7", "8"), record("EAPI", "8", "8\n"), ""),
    "record": Case(record("DESCRIPTION", "a", "b"), record("COUNTER", "1", "2"), "build-time"),
    "size": Case(record("SIZE", "1000", "x"), record("SIZE", "1000", "950"), "size-within"),
    "soname": Case(one(LIB, file(elf(soname="liba.so.1")), file(elf(soname="liba.so.2"))),
                   one(LIB, file(elf(soname="liba.so.1")), file(elf(soname="liba.so.1"))), ""),
    "interpreter": Case(
        one("usr/a", file(elf(interpreter="/lib/ld.so")), file(elf(interpreter="/lab/ld.so"))),
        one("usr/a", file(elf(interpreter="/lib/ld.so", code=b"1")),
            file(elf(interpreter="/lib/ld.so", code=b"2"))), "content",
    ),
    "needed": Case(one(LIB, file(elf(needed=("a.so", "b.so"))), file(elf(needed=("a.so", "c.so")))),
                   one(LIB, file(elf(needed=("a.so", "b.so"))), file(elf(needed=("b.so", "a.so")))),
                   "content"),
    "runpath": Case(one(LIB, file(elf(runpath="/a")), file(elf(runpath="/b"))),
                    one(LIB, file(elf(runpath="/a")), file(elf(runpath="/a"))), ""),
    "root-directory": Case(one("proc", directory(), None), one("usr/a", directory(), None),
                           "directory-lost"),
    "directory-lost": Case(one("usr/a", directory(), None), one("usr/a", None, directory()),
                           "gained"),
    "lost": Case(one("usr/a", file("a"), None), one("usr/a", directory(), None), "directory-lost"),
    "gained": Case(one("usr/a", None, file()), one("usr/a", file(), file()), ""),
    "ownership": Case(
        ({"usr/a": file(), **package("a/b-1", "usr/a"), **package("c/d-1")},
         {"usr/a": file(), **package("a/b-1"), **package("c/d-1", "usr/a")}),
        ({**MERGED_USR, **package("a/b-1", "bin/a")},
         {**MERGED_USR, **package("a/b-1", "usr/bin/a")}),
        "repeated-record",
    ),
    "target": Case(one("usr/a", link("b"), link("c")), one("usr/a", link("b"), link("./b")),
                   "link-spelling"),
    "xattr": Case(one("usr/a", file(xattrs={"user.a": "b"}), file(xattrs={"user.a": "c"})),
                  one("usr/a", file(xattrs={"trusted.a": "b"}), file()), ""),
    "content": Case(one("usr/a", file("a"), file("b")), one("usr/a", file("a"), file("a")), ""),
}  # fmt: skip
#: Rules for whole trees, tested below.
OF_TREES = ("tree-lost", "tree-gained", "about")
#: Other rules that judge a part of the same change: content differs if a header does.
BESIDES = {
    "cpu": {"content"},
    "soname": {"content"},
    "interpreter": {"content"},
    "needed": {"content"},
    "runpath": {"content"},
    "version": {"follows", "build-time"},
    "ownership": {"repeated-record"},
    "package-lost": {"follows", "build-time"},
    "package-gained": {"follows", "build-time"},
}


def judged(pair: Pair, at: str, tmp_path: Path) -> set[str]:
    """The rules that judge the differences of two outputs, or only those of the name ``at``."""
    old, new = (
        read_output(tarball(tmp_path / f"{number}.tar", names)) for number, names in enumerate(pair)
    )
    return {
        each.rule.name
        for each in compare(old, new).judged
        if not at or each.difference.subject == at
    }


def test_each_rule_has_a_case() -> None:
    assert set(NAMES) == {*CASES, *OF_TREES}
    assert len(NAMES) == len(set(NAMES))


def test_each_aspect_has_a_rule_that_fits_it_anywhere() -> None:
    whole = {a for rule in RULES if not rule.paths and not rule.where for a in rule.aspects}
    assert whole == set(ASPECTS)
    assert {rule.judgement for rule in RULES} == set(JUDGEMENTS)


def test_the_manual_lists_the_rules_as_they_are() -> None:
    manual = (ROOT / "docs/comparison.md").read_text()
    rows = [line for line in manual.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{rule.name}` | {rule.judgement} | {rule.reason} |" for rule in RULES]


@pytest.mark.parametrize("name", [name for name in CASES if name != "image"])
def test_a_rule_judges_its_differences(name: str, tmp_path: Path) -> None:
    found = judged(CASES[name].fires, CASES[name].at, tmp_path)
    assert name in found
    assert found - {name} <= BESIDES.get(name, set())


@pytest.mark.parametrize("name", CASES)
def test_a_rule_leaves_similar_differences_to_other_rules(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    found = judged(case.other, case.at, tmp_path)
    assert name not in found
    assert (case.instead in found) if case.instead else not found


def tree(name: str, **about: str) -> Tree:
    return Tree(name, "squashfs", Inventory({}), about)


def test_trees_on_one_side_and_properties_of_images_are_judged() -> None:
    both = [tree("", label="a"), tree("image.squashfs")]
    assert not compare(both, both).judged
    (gone,) = compare(both, both[:1]).judged
    (more,) = compare(both[:1], both).judged
    (about,) = compare(both, [tree("", label="b"), both[1]]).judged
    assert [each.rule.name for each in (gone, more, about)] == list(OF_TREES)


def test_the_content_of_an_opened_image_is_left_out(tmp_path: Path) -> None:
    sides = []
    for number, names in enumerate(CASES["image"].fires):
        (read,) = read_output(tarball(tmp_path / f"{number}.tar", names))
        held = replace(read.inventory, opened=frozenset(["image.squashfs"]))
        sides.append([replace(read, inventory=held)])
    (found,) = compare(*sides).judged
    assert (found.rule.name, found.rule.judgement) == ("image", "left out")
