"""/etc/portage of a target, as it counts here: what is taken of it, and what a level adds.

Pure functions from a description to files by their paths below /etc/portage.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from cloche.config.errors import ConfigError
from cloche.config.fragments import KNOWN, PROFILE_STACKED, REFUSED, STACKED
from cloche.config.makeconf import OWNED, is_quotable, parse
from cloche.plan.names import cp_of
from cloche.targets.description import Description
from cloche.targets.levels import Level, Seen
from cloche.targets.words import FLAGS, WORDS, is_plain, is_words, joined

#: Code of the target that would run in a sandbox, or patch what is built there.
CODE: Final = frozenset({"bashrc", "env", "hooks", "package.env", "patches", "savedconfig"})
#: Files of the user's own profile that are words alone; what else is there may be code.
_PROFILE_WORDS = (PROFILE_STACKED - {"package.bashrc"}) | {"eapi"}
_DEFAULTS = "profile/make.defaults"
#: Never taken: modules and sets.conf name code for Portage's own process; mirrors are this host's.
_LEFT = frozenset({"modules", "sets.conf", "mirrors", "color.map"})
#: Words that Portage's reader of make.conf does not take for names.
_KEYWORDS = frozenset({"source", "export"})
_LABEL = "50-target"
_PINS = "90-cloche"
_NATIVE = re.compile(r"(?<!\S)-m(?:arch|cpu|tune)=native(?!\S)")
_RUST_NATIVE = re.compile(r"(?<!\S)(-Ctarget-cpu=)native(?!\S)")
_CPU = re.compile(r"(?<!\S)-march=([\w.-]+)")


@dataclass(frozen=True, slots=True)
class Taken:
    """The files that count, and what the user should know of the others."""

    files: Mapping[str, bytes]
    notes: tuple[str, ...] = ()


def etc_of(
    description: Description,
    level: Level,
    *,
    inject: bool,
    expand: Collection[str] | None = None,
) -> Taken:
    """What counts of a target's /etc/portage at a level. Without ``inject``, none of its code.

    Then of make.conf, and of the user's own profile, only words count: flags of packages and
    compilers, and the variables of USE_EXPAND, which ``expand`` names; None: they are not known,
    and the notes leave out what may be one. Compiler flags only count from `Level.FLAGS` on.
    """
    words = WORDS | _expanded(description, expand or ())
    files: dict[str, bytes] = {}
    left = set()
    for name, text in description.files.items():
        top, slash, below = name.partition("/")
        if not inject and _is_code(name):
            left.add("/".join(name.split("/")[:2]) if top == "profile" else top)
        elif name == _DEFAULTS and not inject:
            files[name], more = _defaults(description, level, words)
            left.update(more)
        elif top in KNOWN and top not in REFUSED and top not in _LEFT and top != "make.conf":
            target = f"{top}/{_LABEL}{slash}{below}" if top in STACKED else name
            files[target] = text.encode("utf-8", "surrogatepass")
    allowed, conf = None if inject else words, description.make_conf
    variables, others = _variables(conf, description.native, level, allowed)
    files[f"make.conf/{_LABEL}"] = _assignments(variables)
    told = [name for name in others if expand is not None or not is_plain(conf[name])]
    code = sorted(left | {f"{name} in make.conf" for name in told})
    return Taken(files, tuple(_notes(code)))


def _expanded(description: Description, expand: Collection[str]) -> frozenset[str]:
    """The variables of USE_EXPAND but for those that the target's own configuration adds to it."""
    texts = (name + text for name, text in description.files.items())
    if any("USE_EXPAND" in text for text in texts):
        return frozenset()
    return frozenset(expand) - set(description.make_conf.get("USE_EXPAND", "").split())


@dataclass(frozen=True, slots=True)
class OwnCode:
    """Digests: of all code that a target has of its own, empty if it has none; of all its files."""

    all: str = ""
    files: str = ""


def code_of(description: Description) -> OwnCode:
    """The code of a target."""
    files = msgspec.json.encode(description.files, order="deterministic")
    return OwnCode(_all_code(description), hashlib.sha256(files).hexdigest())


def _all_code(description: Description) -> str:
    defaults = _defaults_of(description)
    files = {name: text for name, text in description.files.items() if _is_code(name)}
    if defaults is None:
        files[_DEFAULTS] = description.files[_DEFAULTS]
    variables = [
        {
            name: value
            for name, value in each.items()
            if name not in OWNED and not is_words(name, joined(value))
        }
        for each in (description.make_conf, defaults or {})
    ]
    if not files and not any(variables):
        return ""
    data = msgspec.json.encode((files, variables), order="deterministic")
    return hashlib.sha256(data).hexdigest()


def _is_code(name: str) -> bool:
    """Whether a file below /etc/portage may be code that takes part in builds."""
    top, _, below = name.partition("/")
    plain = below.partition("/")[0] in _PROFILE_WORDS
    return top in CODE or (top == "profile" and not plain and name != _DEFAULTS)


def _defaults(
    description: Description, level: Level, allowed: Collection[str]
) -> tuple[bytes, list[str]]:
    """The words of the user's own make.defaults, and what of it is left out."""
    defaults = _defaults_of(description)
    if defaults is None:
        return b"", [_DEFAULTS]
    found, others = _variables(defaults, description.native, level, allowed)
    return _assignments(found), [f"{name} in {_DEFAULTS}" for name in others]


def _defaults_of(description: Description) -> dict[str, str] | None:
    """The variables of the user's own profile; None if they are more than plain assignments."""
    text = description.files.get(_DEFAULTS, "")
    try:
        return {each.name: each.value for each in parse(text, Path(_DEFAULTS), owned={})}
    except ConfigError:
        return None


def _notes(code: list[str]) -> Iterator[str]:
    if code:
        yield (
            f"/etc/portage of the target has code that is left out: {', '.join(code)}; "
            "the permission `inject` lets it take part"
        )


def _variables(
    variables: Mapping[str, str], native: str, level: Level, allowed: Collection[str] | None
) -> tuple[dict[str, str], list[str]]:
    """The variables of make.conf that count, and the names of those that may be code.

    ``allowed`` are names whose values may be any words; None: all.
    """
    found, others = {}, []
    for name, text in variables.items():
        value = " ".join(text.split())
        if name in OWNED or name.startswith("_"):
            continue
        if name in FLAGS:
            if level is Level.USE:
                continue
            value = resolved(value, native)
        quotable = is_quotable(value) and "${" not in value and name not in _KEYWORDS
        if quotable and (allowed is None or is_words(name, value, allowed)):
            found[name] = value
        else:
            others.append(name)
    return found, others


def _assignments(variables: Mapping[str, str]) -> bytes:
    return "".join(f'{name}="{value}"\n' for name, value in sorted(variables.items())).encode()


def resolved(flags: str, native: str) -> str:
    """Flags with what ``native`` stands for on the target in the place of ``-march=native``.

    For rustc that is the CPU: its names are nearly always those of gcc.
    """
    flags = joined(flags)
    cpu = _CPU.search(native)
    if cpu is not None:
        flags = _RUST_NATIVE.sub(rf"\g<1>{cpu[1]}", flags)
    if not _NATIVE.search(flags):
        return flags
    others = _NATIVE.sub("", flags)
    return " ".join((joined(native), others)).strip().replace("  ", " ")


def stands_for_nothing(description: Description) -> bool:
    """Whether flags say ``native`` and the description does not say what that is."""
    native = description.native
    flags = [joined(description.make_conf.get(name, "")) for name in FLAGS]
    unknown = [*([] if native else [_NATIVE]), *([] if _CPU.search(native) else [_RUST_NATIVE])]
    return any(each.search(flag) for flag in flags for each in unknown)


#: Versions in the repositories by CATEGORY/PN: version, slot, sub-slot.
Versions = Mapping[str, tuple[tuple[str, str, str], ...]]


def slot_of(entry: Mapping[str, str]) -> tuple[str, str]:
    """The slot and the sub-slot of a VDB entry."""
    slot, _, sub_slot = entry.get("SLOT", "0").strip().partition("/")
    return slot, sub_slot or slot


def use_of(entry: Mapping[str, str]) -> tuple[str, ...]:
    """The enabled flags of a VDB entry that are in its IUSE, sorted."""
    iuse = {flag.lstrip("+-") for flag in entry.get("IUSE", "").split()}
    return tuple(sorted(iuse & set(entry.get("USE", "").split())))


def pins(
    description: Description,
    level: Level,
    replaced: Collection[tuple[str, str]],
    versions: Versions,
    seed: Collection[Seen] = (),
) -> dict[str, bytes]:
    """Files that hold the installed packages of a target where they are, as the level demands.

    ``replaced`` are names and slots of packages that the target would replace. What the ``seed``
    has is held, too, unless the target has something else: nothing is updated for its own sake.
    """
    installed = {
        cpv: entry
        for cpv, entry in description.packages.items()
        if (cp_of(cpv), slot_of(entry)[0]) not in replaced
    }
    if level.rank < Level.ABI.rank:
        return {}
    held = _of_seed(seed, level, installed, replaced)
    if level is Level.ABI:
        masks = (*_other_sub_slots(installed, versions), *held)
        return _files({"package.mask": masks})
    return _files(
        {
            "package.mask": (*_other_versions(installed, {cp for cp, _ in replaced}), *held),
            "package.unmask": (f"={cpv}" for cpv in installed),
            "package.accept_keywords": (f"={cpv} **" for cpv in installed),
            "package.license": (f"={cpv} *" for cpv in installed),
            "package.use": _flags(installed),
        }
    )


def _files(lines: Mapping[str, Iterable[str]]) -> dict[str, bytes]:
    texts = {name: "".join(f"{line}\n" for line in sorted(found)) for name, found in lines.items()}
    return {f"{name}/{_PINS}": text.encode() for name, text in texts.items() if text}


def _other_sub_slots(
    installed: Mapping[str, Mapping[str, str]], versions: Versions
) -> Iterator[str]:
    """Versions in the slot of an installed package that have another sub-slot."""
    for cpv, entry in installed.items():
        cp, (slot, sub_slot) = cp_of(cpv), slot_of(entry)
        for version, other, other_sub in versions.get(cp, ()):
            if other == slot and other_sub != sub_slot:
                yield f"={cp}-{version}"


def _of_seed(
    seed: Collection[Seen],
    level: Level,
    installed: Mapping[str, Mapping[str, str]],
    replaced: Collection[tuple[str, str]],
) -> Iterator[str]:
    """Versions of the seed's packages other than those that it has, where these do not matter."""
    own = {(cp_of(cpv), slot_of(entry)[0]): slot_of(entry)[1] for cpv, entry in installed.items()}
    names = {cp for cp, _ in (*own, *replaced)}
    for each in seed:
        place = (each.cp, each.slot)
        same = level is Level.ABI and own.get(place) == each.sub_slot
        if place not in replaced and (same or place not in own):
            yield f"<{each.cp}-{each.version}:{each.slot}"
            yield f">{each.cp}-{each.version}:{each.slot}"
        if each.cp not in names and each.slot == _newest(each.cp, seed):
            yield f">{each.cp}-{each.version}"  # in another slot


def _newest(cp: str, seed: Collection[Seen]) -> str:
    """The slot of the newest of a seed's packages of one name."""
    slots = [each.slot for each in seed if each.cp == cp]
    return max(slots, key=lambda slot: tuple(int(n) for n in re.findall(r"\d+", slot)))


def _other_versions(
    installed: Mapping[str, Mapping[str, str]], replaced: Collection[str]
) -> Iterator[str]:
    """All but the installed versions, which are unmasked; of what gets another slot, in theirs."""
    for cpv, entry in installed.items():
        cp, (slot, _) = cp_of(cpv), slot_of(entry)
        if cp in replaced:
            yield f"<{cpv}:{slot}"
            yield f">{cpv}:{slot}"
        else:
            yield cp


def _flags(installed: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for cpv, entry in installed.items():
        on = set(use_of(entry))
        flags = sorted({flag.lstrip("+-") for flag in entry.get("IUSE", "").split()})
        if flags:
            yield " ".join((f"={cpv}", *(f if f in on else f"-{f}" for f in flags)))
