"""The make.conf that catalyst writes: once for building, and once for the finished stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cloche.catalyst.conf import Conf
from cloche.catalyst.keys import TARGETS
from cloche.catalyst.spec import Spec
from cloche.catalyst.subarchs import Subarch

#: Variables in their order, with the key of a spec.
_FLAGS = {
    "CFLAGS": "cflags",
    "CXXFLAGS": "cxxflags",
    "FCFLAGS": "fcflags",
    "FFLAGS": "fflags",
    "LDFLAGS": "ldflags",
}
#: Keys of a spec that become lines of make.conf.
FLAGS = ("common_flags", *_FLAGS.values(), "chost")
#: Those that a stage has without being asked.
_ALWAYS = tuple(_FLAGS)[:4]


def make_conf(spec: Spec, conf: Conf, subarch: Subarch, *, building: bool = False) -> str:
    """The text for the finished stage, or with ``building`` the one that its scripts see."""
    use = use_flags(spec, conf, building=building)
    lines = [f'USE="{" ".join(use)}"'] if use else []
    for key, variable in (("target_distdir", "DISTDIR"), ("target_pkgdir", "PKGDIR")):
        if key in conf.origins:
            lines.append(f'{variable}="{conf.text(key)}"')
    return "\n".join([*_flags(spec, subarch), *lines, "LC_MESSAGES=C.UTF-8", ""])


def building_conf(spec: Spec, subarch: Subarch, exported: Mapping[str, str]) -> str:
    """The text while packages are built, without USE.

    The variables that envscript has ``exported`` take precedence, as the environment does.
    """
    lines = [*_flags(spec, subarch), "LC_MESSAGES=C.UTF-8"]
    own = [line for line in lines if line.partition("=")[0] not in exported]
    more = [f'{name}="{value}"' for name, value in exported.items() if name != "USE"]
    return "\n".join([*own, *more, ""])


def flag_values(spec: Spec, subarch: Subarch) -> Mapping[str, str]:
    """The flags for compilers by their variables, and CHOST where it is known, in their order."""
    target = TARGETS[spec.text("target")]
    common = _read(spec, "common_flags") or subarch.flags
    found = {"COMMON_FLAGS": common}
    for variable, key in _FLAGS.items():
        if (flags := _read(spec, key)) or variable in _ALWAYS:
            found[variable] = flags or common
    if "chost" in target.own and (chost := spec.text("chost") or subarch.chost):
        found["CHOST"] = chost
    return found


def _flags(spec: Spec, subarch: Subarch) -> Iterator[str]:
    yield f"# Written for {TARGETS[spec.text('target')].name} by cloche; see make.conf(5)."
    found = flag_values(spec, subarch)
    for variable, flags in found.items():
        same = variable in _FLAGS and flags == found["COMMON_FLAGS"]
        yield f'{variable}="{"${COMMON_FLAGS}" if same else flags}"'


def _read(spec: Spec, key: str) -> str:
    """The value of a key that this target reads."""
    return "" if key in TARGETS[spec.text("target")].unread else spec.text(key)


def use_flags(spec: Spec, conf: Conf, *, building: bool) -> tuple[str, ...]:
    """USE of make.conf, sorted: the spec's, and while building those of catalyst's own."""
    target = TARGETS[spec.text("target")]
    own = spec.settings.get(f"{target.prefix}/use")
    found = set(own.words) if own else set()
    # A stage1 keeps them without being asked: catalyst's own has them, too.
    sticky = "sticky-config" in conf.words("options") or target.name == "stage1"
    if building or sticky:
        found |= set(building_use(spec, conf))
    return tuple(sorted(found))


def building_use(spec: Spec, conf: Conf) -> tuple[str, ...]:
    """What catalyst adds to USE while it builds."""
    bindist = ("bindist",) if "bindist" in conf.words("options") else ()
    return (*bindist, *(("livecd",) if spec.text("target") == "livecd-stage1" else ()))
