"""The specs of a run: copies with their tokens filled in, checked and in order."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

from cloche.catalyst.chains import needs, writers
from cloche.catalyst.conf import Conf
from cloche.catalyst.spec import Spec
from cloche.catalyst.tokens import fill
from cloche.config.errors import ConfigError, Origin, nearest
from cloche.config.files import read_text
from cloche.errors import ClocheError
from cloche.releng.auto_conf import AutoConf, Wanted
from cloche.releng.build import check_first, check_places
from cloche.releng.calls import SpecFile
from cloche.releng.inputs import check_spec, source_of
from cloche.releng.provenance import named_files

_KCONFIG = re.compile(r"^(boot/kernel/[^/\s]+/config:)[ \t]*(\S*/)?(\S+)[ \t]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Item:
    """A spec of a run.

    ``digest`` is that of its text, of the files that it names, and of catalyst.conf. ``needs``
    names the spec that makes its source, ``after`` those that have to end first because they write
    the same file. ``refused`` is the reason why it is not built.
    """

    wanted: Wanted
    files: SpecFile
    spec: Spec
    digest: str
    needs: str | None = None
    after: tuple[str, ...] = ()
    refused: ConfigError | None = None

    @property
    def name(self) -> str:
        """Its name below SPECS_DIR."""
        return self.wanted.name


def chosen(conf: AutoConf, only: Sequence[str]) -> tuple[Wanted, ...]:
    """The specs of the configuration, or those of them that are named. Raises ClocheError."""
    all_ = conf.wanted()
    known = {each.name: each for each in all_}
    for name in only:
        if name not in known and name not in {each.set for each in all_}:
            near = nearest(name, known)
            todo = f"did you mean “{near}”?" if near else f"use one of {', '.join([*known][:20])}"
            raise ClocheError(
                f"--only: “{name}” is not a spec or a set", where=conf.name, todo=todo
            )
    return tuple(each for each in all_ if not only or {each.name, each.set} & set(only))


def copied(
    conf: AutoConf,
    wanted: Sequence[Wanted],
    room: Path,
    tokens: Mapping[str, str],
    kconfig: Path | None = None,
) -> None:
    """Write the specs below ``room`` with their tokens filled in, and copy kernel configurations.

    As in catalyst-auto, a kernel's configuration is found by its file name below KCONFIG_DIR. The
    copied specs name it in ``kconfig``, by default the directory of the copies.
    """
    copies = room / "kconfig"
    copies.mkdir(parents=True, exist_ok=True)
    files: dict[str, list[Path]] = {}
    for file in _files(conf.values.get("KCONFIG_DIR")):
        files.setdefault(file.name, []).append(file)
        shutil.copyfile(file, copies / file.name)
    for each in wanted:
        copy = copy_of(room, each)
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = fill(read_text(conf.specs_dir / each.name, Path("/")), tokens)
        _check_kconfig(text, conf.specs_dir / each.name, files)
        copy.write_text(with_kconfig(text, kconfig or copies, files), encoding="utf-8")


def _files(directory: str | None) -> Iterator[Path]:
    if directory:
        yield from (file for file in sorted(Path(directory).rglob("*")) if file.is_file())


def _check_kconfig(text: str, file: Path, files: Mapping[str, Sequence[Path]]) -> None:
    """See that each kernel configuration that a spec names is one file. Raises `ConfigError`."""
    for match in _KCONFIG.finditer(text):
        found = files.get(match[3], ())
        if len({each.read_bytes() for each in found}) > 1:
            origin = Origin(file, text.count("\n", 0, match.start()) + 1)
            what = f"several files below KCONFIG_DIR are called {match[3]}: {_listed(found)}"
            raise ConfigError(origin, what, "let KCONFIG_DIR be the directory of one of them")


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(map(str, files))


def copy_of(room: Path, wanted: Wanted) -> Path:
    """The copy of a spec in a run's directory."""
    return room / "specs" / wanted.name


def _digest(copy: Path, spec: Spec | None, conf: Conf) -> str:
    """What makes a spec differ from what was built; ``spec`` is None if it cannot be read."""
    values = {key: str(value) for key, value in conf.values.items()}
    named = [*named_files(spec, conf)] if spec is not None else []
    whole = json.dumps([copy.read_text("utf-8", "surrogateescape"), values, named], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()


def with_kconfig(text: str, directory: Path, names: Container[str]) -> str:
    """A spec's text whose kernel configurations of these names are paths in a directory."""

    def named(match: re.Match[str]) -> str:
        return f"{match[1]} {directory / match[3]}" if match[3] in names else match[0]

    return _KCONFIG.sub(named, text)


def items_of(
    conf: Conf, auto: AutoConf, wanted: Sequence[Wanted], room: Path, here: Path
) -> tuple[Item, ...]:
    """The copied specs, checked, each after those that it waits for. Raises `ConfigError`.

    Relative paths in them begin at ``here``. A wrong spec is an error; if it is optional, only that
    spec is refused.
    """
    found: dict[str, Item] = {}
    errors: list[ConfigError] = []
    for each in wanted:
        files = SpecFile(auto.specs_dir / each.name, copy_of(room, each), here)
        refused = None
        spec = Spec(files.copy)
        try:
            spec = files.read()
            check_spec(replace(spec, file=files.file), conf)  # errors name the user's file
            check_places(spec, conf)
        except ConfigError as error:
            refused = error
            errors += [] if each.optional else [error]
        digest = _digest(files.copy, None if refused else spec, conf)
        found[each.name] = Item(each, files, spec, digest, refused=refused)
    _raise(errors)
    specs = {name: item.spec for name, item in found.items() if item.refused is None}
    for name, needed in needs(specs, conf).items():
        found[name] = replace(found[name], needs=needed)
    for names in writers(specs, conf).values():
        for before, name in pairwise(names):
            found[name] = replace(found[name], after=(*found[name].after, before))
    return in_order(found)


def check_sources(items: Sequence[Item], conf: Conf) -> tuple[Item, ...]:
    """See that what specs name exists, and each source that none of them makes.

    As in `items_of`, only the spec is refused if it is optional. Raises ClocheError.
    """
    checked: list[Item] = []
    errors: list[ConfigError] = []
    for item in items:
        if item.refused is None:
            try:
                check_first(replace(item.spec, file=item.files.file), conf)
                if item.needs is None:
                    source_of(item.spec, conf)
            except ConfigError as error:
                errors += [] if item.wanted.optional else [error]
                item = replace(item, refused=error)
        checked.append(item)
    _raise(errors)
    return tuple(checked)


def _raise(errors: Sequence[ConfigError]) -> None:
    """Raise the first error, with the others as its detail."""
    if errors:
        others = [str(each) for each in errors[1:]]
        errors[0].detail = "\n".join(others) or errors[0].detail
        raise errors[0]


def in_order(items: Mapping[str, Item]) -> tuple[Item, ...]:
    """Items in the order of the configuration, but each after those that it waits for.

    Raises `ConfigError` if they wait for each other.
    """
    waits = {name: waits_for(item) for name, item in items.items()}
    sorter = TopologicalSorter(waits)
    try:
        sorter.prepare()
    except CycleError as error:
        origin = items[error.args[1][0]].spec.origin("version_stamp")
        what = (
            f"these specs write the same file, and wait for each other: {', '.join(error.args[1])}"
        )
        raise ConfigError(origin, what, "give one of them another version_stamp") from None
    found: list[Item] = []
    names = [*items]
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()], key=names.index)
        name = ready.pop(0)
        found.append(items[name])
        sorter.done(name)
    return tuple(found)


def waits_for(item: Item) -> frozenset[str]:
    """The names of the specs that have to end before a spec begins."""
    return frozenset((*item.after, *([item.needs] if item.needs else [])))


def depths(items: Sequence[Item]) -> Mapping[str, int]:
    """For each spec, the length of the longest chain from it; the longest is built first."""
    found: dict[str, int] = {}
    for item in reversed(items):
        behind = [found[other.name] for other in items if item.name in waits_for(other)]
        found[item.name] = 1 + max(behind, default=0)
    return found
