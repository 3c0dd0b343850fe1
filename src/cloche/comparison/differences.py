"""How two trees differ, name by name and package by package. Differences are not judged here."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from cloche.audit.elf import Elf
from cloche.comparison.inventory import Inventory, Item
from cloche.comparison.packages import KEPT, WORDS, Package, package_of
from cloche.config.chost import cpu_name
from cloche.layers.xattrtext import ACL_ACCESS, ACL_DEFAULT, CAPABILITY, xattr_text

SPECIAL_BITS = 0o6000  # setuid, setgid
_DIFF = 200  # lines of a file's unified diff
_DIFF_INPUT = 2000  # lines of a file that is compared line by line
_WORDS = 30  # of a list, in a message

#: What a difference can be about.
ASPECTS = (
    *("lost", "gained", "type", "setuid", "mode", "owner", "capability", "acl", "xattr", "device"),
    *(
        "ownership",
        "target",
        "links",
        "content",
        "text",
        "cpu",
        "interpreter",
        "soname",
        "needed",
        "runpath",
    ),
    *("package-lost", "package-gained", "version", "sub-slot", "use", "implicit-use"),
    *("iuse", "dependencies", "flags", "repository", "ebuild", "installed-size"),
    *("tree-lost", "tree-gained", "about"),
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. ``old`` and ``new`` are the values of each side as text, empty for none.

    ``subject`` is a name in the tree, or a package. ``kind`` is the type of the name. ``package``
    owns the name, on the side that has it. If ``follows``, that package itself is lost, gained or
    of another version. ``noise`` names the noise (see `content`) if nothing else differs in a
    file's content. ``empty``: a file without content. ``lines`` are a unified diff.
    """

    aspect: str
    subject: str
    old: str = ""
    new: str = ""
    kind: str = ""
    package: str = ""
    follows: bool = False
    noise: str = ""
    empty: bool = False
    lines: tuple[str, ...] = ()


def differences(old: Inventory, new: Inventory) -> Iterator[Difference]:
    """All differences, those of packages first."""
    changed = set()
    for key in sorted(old.packages.keys() | new.packages.keys()):
        a, b = old.packages.get(key), new.packages.get(key)
        if a is None or b is None or a.cpv != b.cpv:
            changed.add(key)
        yield from _package(key, a, b)
    for name in sorted(old.items.keys() | new.items.keys()):
        mine, other = old.owners.get(name), new.owners.get(name)
        owner = _Owner(mine, other, mine in changed or other in changed)
        yield from _name(name, old.items.get(name), new.items.get(name), owner)


@dataclass(frozen=True, slots=True)
class _Owner:
    """The packages that own a name on each side; whether one of them is of another version."""

    old: str | None
    new: str | None
    changed: bool

    @property
    def package(self) -> str:
        return self.old or self.new or ""


# Packages


def _package(key: str, a: Package | None, b: Package | None) -> Iterator[Difference]:
    if a is None or b is None:
        one = a or b
        assert one is not None  # noqa: S101 - at least one side has the key
        aspect = "package-lost" if a else "package-gained"
        yield Difference(aspect, key, a.cpv if a else "", b.cpv if b else "")
        return
    if a.cpv != b.cpv:
        yield Difference("version", key, a.version, b.version, follows=True)
    follows = a.cpv != b.cpv
    yield from _use(key, a, b, follows)
    (slot, sub), (other_slot, other_sub) = (_slots(each) for each in (a, b))
    if sub != other_sub:
        yield Difference("sub-slot", key, f"{slot}/{sub}", f"{other_slot}/{other_sub}")
    for record, aspect in WORDS.items():
        old, new = (each.records.get(record, "") for each in (a, b))
        if old.split() != new.split():
            yield _words(aspect, f"{key} {record}", old.split(), new.split(), follows)
    old, new = (each.records.get("SIZE", "") for each in (a, b))
    if old != new:
        yield Difference("installed-size", key, old, new, follows=follows)


def _slots(package: Package) -> tuple[str, str]:
    slot, _, sub = package.records.get("SLOT", "").partition("/")
    return slot, sub or slot


def _use(key: str, a: Package, b: Package, follows: bool) -> Iterator[Difference]:
    """Differences in USE flags: in those of the ebuild, and in those that profiles add."""
    has = [{flag.lstrip("+-") for flag in each.records.get("IUSE", "").split()} for each in (a, b)]
    on = [set(each.records.get("USE", "").split()) for each in (a, b)]
    if has[0] != has[1]:
        yield _words("iuse", f"{key} IUSE", sorted(has[0]), sorted(has[1]), follows)
    both = has[0] & has[1]
    if on[0] & both != on[1] & both:
        yield _words("use", f"{key} USE", sorted(on[0] & both), sorted(on[1] & both), follows)
    rest = has[0] | has[1]
    if on[0] - rest != on[1] - rest:
        words = sorted(on[0] - rest), sorted(on[1] - rest)
        yield _words("implicit-use", f"{key} USE", *words, follows)


def _words(
    aspect: str, subject: str, old: Iterable[str], new: Iterable[str], follows: bool
) -> Difference:
    """The words that differ; all of them if only their order differs."""
    a, b = Counter(old), Counter(new)
    lost, gained = list((a - b).elements()), list((b - a).elements())
    if not lost and not gained:
        lost, gained = list(old), list(new)
    return Difference(aspect, subject, _few(lost), _few(gained), follows=follows)


def _few(words: list[str]) -> str:
    more = f" and {len(words) - _WORDS} more" if len(words) > _WORDS else ""
    return " ".join(words[:_WORDS]) + more


# Names


def _name(name: str, a: Item | None, b: Item | None, owner: _Owner) -> Iterator[Difference]:
    if a is None or b is None:
        yield _one_sided(name, a, b, owner)
        return

    def differs(aspect: str, old: str, new: str, noise: str = "") -> Difference:
        return Difference(
            aspect, name, old, new, a.type, owner.package, owner.changed, noise, not a.size
        )

    if a.type != b.type:
        yield differs("type", a.type, b.type)
        return
    if a.mode != b.mode and a.type != "symlink":
        special = (a.mode ^ b.mode) & SPECIAL_BITS
        yield differs("setuid" if special else "mode", f"{a.mode:04o}", f"{b.mode:04o}")
    if (a.uid, a.gid) != (b.uid, b.gid):
        yield differs("owner", f"{a.uid}:{a.gid}", f"{b.uid}:{b.gid}")
    if a.device != b.device:
        yield differs("device", *("{}:{}".format(*each.device) for each in (a, b)))
    mine, other = dict(a.xattrs), dict(b.xattrs)
    for attribute in sorted(mine.keys() | other.keys()):
        if mine.get(attribute) != other.get(attribute):
            texts = (_attribute(attribute, each) for each in (mine, other))
            yield differs(_ATTRIBUTES.get(attribute, "xattr"), *texts)
    if owner.old != owner.new and not owner.changed and a.type != "directory":
        yield differs("ownership", owner.old or "no package", owner.new or "no package")
    if a.target != b.target:
        yield differs("target", a.target, b.target)
    if a.twin != b.twin:
        yield differs("links", *(f"as {each.twin}" if each.twin else "alone" for each in (a, b)))
    if a.digest != b.digest and not _compared_as_words(name, owner):
        yield _content(name, a, b, differs("content", _bytes(a), _bytes(b), _noise(a, b)))
    if a.elf is not None and b.elf is not None:
        for aspect, old, new in _elves(a.elf, b.elf):
            yield differs(aspect, old, new)


_ATTRIBUTES = {CAPABILITY: "capability", ACL_ACCESS: "acl", ACL_DEFAULT: "acl"}


def _one_sided(name: str, a: Item | None, b: Item | None, owner: _Owner) -> Difference:
    one = a or b
    assert one is not None  # noqa: S101 - at least one side has the name
    about = f"{one.type} {one.mode:04o} {one.uid}:{one.gid}" + (
        f", {_bytes(one)}" if one.type == "file" else ""
    )
    return Difference(
        "lost" if a else "gained",
        name,
        about if a else "",
        about if b else "",
        one.type,
        owner.package,
        owner.changed,
        empty=not one.size or (one.text is not None and one.text.strip() in (b"", b"{}")),
    )


def _compared_as_words(name: str, owner: _Owner) -> bool:
    """Whether the file is a record whose words were compared with its package."""
    return package_of(name) is not None and bool(owner.package) and name.rpartition("/")[2] in KEPT


def _noise(a: Item, b: Item) -> str:
    return a.noise if a.plain == b.plain and a.noise == b.noise else ""


def _content(name: str, a: Item, b: Item, found: Difference) -> Difference:
    """The difference in content; for texts, with the lines that differ."""
    old, new = _text(a.text), _text(b.text)
    if old is None or new is None:
        return found
    if max(text.count("\n") for text in (old, new)) > _DIFF_INPUT:
        return found
    sides = f"old/{name}", f"new/{name}"
    diff = list(difflib.unified_diff(old.splitlines(), new.splitlines(), *sides, lineterm=""))
    if len(diff) > _DIFF:
        diff = [*diff[:_DIFF], f"({len(diff) - _DIFF} more lines)"]
    return replace(found, aspect="text", lines=tuple(diff))


def _text(content: bytes | None) -> str | None:
    """The content of a text file; None for any other file."""
    if content is None or b"\0" in content:
        return None
    return content.decode("utf-8", "backslashreplace")


def _bytes(item: Item) -> str:
    return f"{item.size} bytes"


def _attribute(name: bytes, values: Mapping[bytes, bytes]) -> str:
    if name not in values:
        return ""
    return f"{name.decode('utf-8', 'backslashreplace')}={xattr_text(name, values[name])}"


def _elves(a: Elf, b: Elf) -> Iterator[tuple[str, str, str]]:
    """How the headers of two programs or libraries differ."""
    if (a.bits, a.machine) != (b.bits, b.machine):
        old, new = (f"{cpu_name(each.machine)}, {each.bits} bits" for each in (a, b))
        yield "cpu", old, new
    if a.interpreter != b.interpreter:
        yield "interpreter", a.interpreter, b.interpreter
    if a.soname != b.soname:
        yield "soname", a.soname, b.soname
    if set(a.needed) != set(b.needed):
        only = (
            [x for x in a.needed if x not in b.needed],
            [x for x in b.needed if x not in a.needed],
        )
        yield "needed", _few(only[0]), _few(only[1])
    if a.runpath != b.runpath:
        yield "runpath", ":".join(a.runpath), ":".join(b.runpath)
