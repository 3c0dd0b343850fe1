"""Finds what is wrong with spec files without building anything: each alone, then all together.

An error is something that catalyst fails at or drops, a warning something that works but is rarely
intended.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from cloche.catalyst.conf import Conf
from cloche.catalyst.keys import (
    DRACUT_ONLY,
    GENKERNEL_ONLY,
    KERNEL,
    KERNEL_UNREAD,
    TARGETS,
    Target,
)
from cloche.catalyst.lint_inputs import contradiction_in
from cloche.catalyst.makeconf import FLAGS
from cloche.catalyst.paths import EXTENSIONS, compression_mode, extension, outputs, subpath
from cloche.catalyst.spec import Setting, Spec, Trap, read_spec
from cloche.catalyst.tokens import TOKENS, fill, tokens_in
from cloche.catalyst.tools import why_not
from cloche.config.errors import ConfigError, Origin, nearest
from cloche.config.makeconf import is_quotable

Severity = Literal["error", "warning"]

#: What tokens look like once they are filled in; enough for lengths and comparisons.
_SAMPLE = {"TIMESTAMP": "20000101T000000Z", "DATESTAMP": "20000101", "TREEISH": "0" * 40}
_SINGLE = ("profile", "rel_type", "snapshot_treeish", "source_subpath", "subarch", "version_stamp")
_OPTIONAL = (
    *("binrepo_path", "chost", "compression_mode", "kerncache_path", "pkgcache_path"),
    *("portage_confdir", "portage_prefix", "update_seed"),
)
_OWN_OPTIONAL = ("cdtar", "fsscript", "iso", "qcow2")  # below the target's prefix
_VOLID = 32  # characters of a volume ID (ISO 9660)
_STRAY = re.compile(r"[<>=~!]{0,2}[a-z0-9-]+/[\w+-]+|https?|git|ssh|file")
_ENDING = re.compile(r"\.(tar(\.\w+)?|squashfs|sfs|wsl|t[bpx]z2?)$")
_LATEST = re.compile(r"(?:^|[-_.])latest(?:$|[-_.])")


Trees = Callable[[str], Literal["snapshot", "commit"] | None]
"""Says whether a tree-ish has a snapshot, or only a commit to make one from, or neither (None)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, in the words of the line that the user reads."""

    origin: Origin
    severity: Severity
    rule: str
    what: str
    todo: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.severity}: {self.what}; {self.todo} [{self.rule}]"


def lint(
    files: Sequence[Path], values: Mapping[str, str], trees: Trees | None = None
) -> tuple[Finding, ...]:
    """What is wrong with the files, sorted; of several also what is wrong between them.

    A file that catalyst cannot read is a finding, too. ``trees`` says which tree-ishes exist.
    """
    specs, found = list[Spec](), list[Finding]()
    for file in files:
        try:
            specs.append(read_spec(file))
        except ConfigError as error:
            found.append(_unreadable(file, error))
    found += [finding for spec in specs for finding in lint_spec(spec, values)]
    if trees is not None:
        found += [each for spec in specs for each in _treeish(spec, values, trees)]
    if len(files) > 1:
        found += lint_together(specs)
    return tuple(sorted(found, key=lambda each: (each.origin.file, each.origin.line or 0)))


def _unreadable(file: Path, error: ConfigError) -> Finding:
    line = (error.where or "").removeprefix(f"{file}:")
    origin = Origin(file, int(line) if line.isdecimal() else None)
    return Finding(origin, "error", "unreadable", error.what, error.todo or "correct the line")


def refuse(spec: Spec, counts: Callable[[str], bool]) -> None:
    """Raise `ConfigError` for the first error of a rule that counts."""
    for found in lint_spec(spec, {}):
        if found.severity == "error" and counts(found.rule):
            raise ConfigError(found.origin, found.what, found.todo)


def lint_spec(spec: Spec, values: Mapping[str, str]) -> Iterator[Finding]:
    """What is wrong with one spec. ``values`` are those of the tokens that are known here."""
    yield from map(_dropped, spec.traps)
    target = TARGETS.get(spec.text("target"))
    if target is None:
        yield _wrong_target(spec)
        return
    yield from _keys(spec, target)
    yield from _values(spec, target)
    yield from _cpu(spec, target)
    yield from _tokens(spec, values)
    yield from _files(spec, target, values)
    yield from _contradiction(spec, values)


def lint_together(specs: Sequence[Spec]) -> Iterator[Finding]:
    """What is wrong between specs: outputs of the same name, sources that none of them makes."""
    whole = [spec for spec in specs if spec.text("target") in TARGETS]
    yield from _same_outputs(whole)
    made = {subpath(spec) for spec in whole}
    near_to = cache(lambda source: nearest(source, made))  # many specs have the same source
    for spec in whole:
        source = _ENDING.sub("", spec.text("source_subpath"))
        if source and source not in made and tokens_in(source):
            near = near_to(source)
            hint = f"did you mean “{near}”?" if near else "add its spec, or start from another one"
            what = f"none of the specs makes {source}"
            yield Finding(spec.origin("source_subpath"), "error", "source", what, hint)


def _same_outputs(specs: Sequence[Spec]) -> Iterator[Finding]:
    conf, writers = Conf(), dict[str, Spec]()
    for spec in specs:
        if spec.text("target") == "snapshot":
            continue
        try:
            written = outputs(spec, conf)
        except ConfigError:  # said of the spec itself
            continue
        for output in written:
            if output.kind not in ("tarball", "iso", "qcow2", "directory"):
                continue
            first = writers.setdefault(output.path, spec)
            if first is not spec:
                name = output.path.removeprefix(conf.text("storedir")).lstrip("/")
                what = f"writes {name}, as {first.file} does"
                todo = "give one of them another version_stamp or rel_type"
                yield Finding(spec.origin("version_stamp"), "warning", "same-output", what, todo)
                break


def _dropped(trap: Trap) -> Finding:
    """A part of the text that catalyst drops."""
    what, todo = {
        "comment": (
            f"“#” cuts the line: “{trap.text}” is not read",
            "write it without “#”, or put a space before a comment",
        ),
        "repeated": (
            f"“{trap.key}” again: the value in line "
            f"{trap.earlier.line if trap.earlier else '?'} is dropped",
            "keep one of them",
        ),
        "empty": (f"“{trap.key}” has no value and is dropped", "give a value, or remove the line"),
        "orphan": (
            f"“{trap.text}” is before any key, so “{trap.key}” becomes one",
            "put KEY: before it",
        ),
        "percent": (
            f"“{trap.text}”: references are filled in only in the line of the key",
            f"write it behind “{trap.key}:”",
        ),
        "quote": (
            f"a quotation mark at an end of {trap.text} is removed, its partner stays",
            "leave quotation marks out, or put a word behind the last one",
        ),
    }[trap.kind]
    severity: Severity = "warning" if trap.kind == "empty" else "error"
    return Finding(trap.origin, severity, trap.kind, what, todo)


def _wrong_target(spec: Spec) -> Finding:
    name = spec.text("target")
    if not name:
        todo = f"add `target:` with one of {', '.join(TARGETS)}"
        return Finding(Origin(spec.file), "error", "target", "“target” is missing", todo)
    near = nearest(name, TARGETS)
    todo = f"did you mean “{near}”?" if near else f"the targets are {', '.join(TARGETS)}"
    return Finding(spec.origin("target"), "error", "target", f"unknown target “{name}”", todo)


def _keys(spec: Spec, target: Target) -> Iterator[Finding]:
    known = target.keys({key: each.words for key, each in spec.settings.items()})
    for key, setting in spec.settings.items():
        if key not in known:
            yield _unknown(key, setting, target, known)
        elif key in target.unread or _kernel_part(key) in _unread(spec, key):
            what = f"{target.name} does not read “{key}”"
            yield Finding(setting.origin, "warning", "unread", what, "remove the line")
    for key in target.required:
        if key not in spec.settings:
            what = f"“{key}” is missing ({target.name} requires it)"
            todo = f"add it: {known[key]}"
            yield Finding(Origin(spec.file), "error", "missing", what, todo)


def _unknown(key: str, setting: Setting, target: Target, known: Mapping[str, str]) -> Finding:
    what = f"{target.name} does not know “{key}”, and catalyst fails"
    if key.strip() in known:
        todo = "remove the space before “:”"
    elif others := [name for name, each in TARGETS.items() if key in {**each.common, **each.own}]:
        todo = f"remove the line: it is a key of {', '.join(others)}"
    elif _kernel_part(key):
        todo = f"name “{key.split('/')[2]}” in boot/kernel, or remove the line"
    elif _STRAY.fullmatch(key) and not key.startswith(f"{target.prefix}/"):
        todo = "a line with “:” starts a key, also inside of a list: write it without “:”"
    elif near := nearest(key, known):
        todo = f"did you mean “{near}”?"
    else:
        todo = "remove it; catalyst-spec(5) lists the keys"
    return Finding(setting.origin, "error", "unknown", what, todo)


def _kernel_part(key: str) -> str:
    """The last part of boot/kernel/LABEL/PART, or nothing."""
    parts = key.split("/")
    named = len(parts) == 4 and parts[:2] == ["boot", "kernel"] and parts[3] in KERNEL
    return parts[3] if named else ""


def _unread(spec: Spec, key: str) -> frozenset[str]:
    """The parts of a kernel's keys that are not read: they depend on the tool that makes it."""
    distkernel = spec.text(f"{key.rpartition('/')[0]}/distkernel") == "yes"
    return KERNEL_UNREAD | (GENKERNEL_ONLY if distkernel else DRACUT_ONLY)


def _one_word(spec: Spec, target: Target) -> Iterator[Finding]:
    """Values that are not one word; optional ones may be `none`."""
    optional = (*_OPTIONAL, *(f"{target.prefix}/{key}" for key in _OWN_OPTIONAL))
    for key in (*_SINGLE, *optional):
        words = spec.words(key)
        if key in spec.settings and len(words) != 1 and (words or key not in optional):
            what = f"“{key}” is to be one word, not “{spec.text(key) or 'none'}”"
            yield Finding(spec.origin(key), "error", "value", what, "write it without spaces")


def _values(spec: Spec, target: Target) -> Iterator[Finding]:
    yield from _one_word(spec, target)
    for key in FLAGS:
        if not is_quotable(spec.text(key)):
            what = f"“{spec.text(key)}” cannot be a value in make.conf"
            todo = "remove quotation marks, backslashes and “$”"
            yield Finding(spec.origin(key), "error", "value", what, todo)
    if "/" in spec.text("portage_prefix"):
        what = f"“{spec.text('portage_prefix')}” is not the name of a file"
        origin = spec.origin("portage_prefix")
        yield Finding(origin, "error", "value", what, "write a name without “/”")
    mode = compression_mode(spec, Conf())
    if extension(mode) is None:
        near = nearest(mode, EXTENSIONS) or ", ".join(EXTENSIONS)
        what = f"catalyst cannot pack as “{mode}”"
        yield Finding(spec.origin("compression_mode"), "error", "value", what, f"try {near}")
    try:
        outputs(spec, Conf())
    except ConfigError as error:
        origin = spec.origin("rename_regexp")
        yield Finding(origin, "error", "value", error.what, "write one as for sed -E")
    volid = f"{target.prefix}/volid"
    if len(fill(spec.text(volid), _SAMPLE)) > _VOLID:
        what = f"the volume ID has more than {_VOLID} characters"
        yield Finding(spec.origin(volid), "error", "value", what, "shorten it")
    verify = f"{target.prefix}/verify"
    if spec.text(verify) not in ("", "blake2"):
        what = f"“{spec.text(verify)}” is not a way to verify"
        yield Finding(spec.origin(verify), "error", "value", what, "write blake2")
    if target.name == "stage4" and any("=" in user for user in spec.words("stage4/users")):
        what = "catalyst fails at users with groups (USER=GROUPS)"
        todo = "name the users alone, and add them to groups in the fsscript"
        yield Finding(spec.origin("stage4/users"), "error", "users", what, todo)
    for label in spec.words("boot/kernel"):
        if set(label) & set(".-/"):
            what = f"catalyst looks for the keys of kernel “{label}” below another name"
            todo = "write the label without “.”, “-” and “/”"
            yield Finding(spec.origin("boot/kernel"), "error", "label", what, todo)


def _cpu(spec: Spec, target: Target) -> Iterator[Finding]:
    """An image for a CPU for which cloche makes none."""
    subarch = spec.text("subarch")
    for key in (f"{target.prefix}/iso", f"{target.prefix}/qcow2"):
        if spec.text(key) and (why := why_not(subarch)):
            what = f"cloche makes no media or disks for {subarch}: {why}"
            yield Finding(spec.origin(key), "warning", "cpu", what, f"leave out “{key}”")


def _tokens(spec: Spec, values: Mapping[str, str]) -> Iterator[Finding]:
    known = {*TOKENS, *values}
    for setting in spec.settings.values():
        for token in tokens_in(setting.text):
            if token not in known:
                near = nearest(token, known)
                todo = f"did you mean @{near}@?" if near else f"fill it in with --set {token}=…"
                what = f"@{token}@ is not filled in"
                yield Finding(setting.origin, "error", "token", what, todo)
    source = spec.text("source_subpath")
    if _LATEST.search(source):
        what = f"{source} is a link that moves: the seed of the next run is another one"
        todo = "name the seed with its date to build the same again"
        yield Finding(spec.origin("source_subpath"), "warning", "latest", what, todo)


def _treeish(spec: Spec, values: Mapping[str, str], trees: Trees) -> Iterator[Finding]:
    """A snapshot that does not exist."""
    treeish = fill(spec.text("snapshot_treeish"), values)
    if not treeish or tokens_in(treeish) or spec.text("target") == "snapshot":
        return
    origin, found = spec.origin("snapshot_treeish"), trees(treeish)
    if found == "commit":
        what, todo = f"{treeish} has no snapshot yet", f"run `cloche catalyst -s {treeish}`"
        yield Finding(origin, "warning", "treeish", what, todo)
    elif found is None:
        what = f"{treeish} is neither a snapshot nor a commit of the repository"
        yield Finding(
            origin, "error", "treeish", what, "correct it, or fetch it into the repository"
        )


def _contradiction(spec: Spec, values: Mapping[str, str]) -> Iterator[Finding]:
    """Two files of a confdir that say opposite things."""
    place = Path(fill(spec.text("portage_confdir"), values))
    if not (spec.text("portage_confdir") and place.is_absolute() and place.is_dir()):
        return
    if (error := contradiction_in(place)) is not None:
        where = f"{error.where}: " if error.where else ""
        origin, todo = spec.origin("portage_confdir"), error.todo or "correct the line"
        yield Finding(origin, "error", "contradiction", f"{where}{error.what}", todo)


def _files(spec: Spec, target: Target, values: Mapping[str, str]) -> Iterator[Finding]:
    """Directories and files of the spec that do not exist, as far as their paths are known."""
    confdir = spec.text("portage_confdir")
    if confdir and confdir[0] not in "/@":
        what = f"portage_confdir “{confdir}” is not an absolute path, and catalyst fails"
        origin = spec.origin("portage_confdir")
        yield Finding(origin, "error", "relative", what, "write @REPO_DIR@/… or /…")
    else:
        yield from _there(spec, "portage_confdir", values, "catalyst fails")
    yield from _there(spec, "repos", values, "catalyst fails")
    prefix = target.prefix
    for key in ("root_overlay", "overlay"):
        yield from _there(spec, f"{prefix}/{key}", values, "catalyst leaves it out without a word")
    yield from _there(spec, f"{prefix}/fsscript", values, "catalyst fails at the end")
    for label in spec.words("boot/kernel"):
        yield from _there(spec, f"boot/kernel/{label}/config", values, "catalyst fails")
        overlay = f"boot/kernel/{label}/initramfs_overlay"
        yield from _there(spec, overlay, values, "catalyst leaves it out without a word")


def _there(spec: Spec, key: str, values: Mapping[str, str], result: str) -> Iterator[Finding]:
    for word, origin in spec.placed_words(key):
        path = fill(word, values)
        if tokens_in(path) or _exists(path) or _kernel_config(key, path, values):
            continue
        if not path.startswith("/"):
            if key.endswith("/config"):
                what = f"{path} is looked for below the directory where catalyst is started"
                yield Finding(origin, "warning", "relative", what, "write @REPO_DIR@/…")
            continue
        # What is written as an absolute path may be there on the host that builds.
        severity: Severity = "error" if tokens_in(word) else "warning"
        place = "" if tokens_in(word) else " on this host"
        what = f"{path} does not exist{place}: {result}"
        yield Finding(origin, severity, "absent", what, f"correct “{key}”")


def _exists(path: str) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - Path's raises where a directory cannot be searched


def _kernel_config(key: str, path: str, values: Mapping[str, str]) -> bool:
    """Whether catalyst-auto would find a kernel's configuration: it takes it by its file name."""
    if not (key.startswith("boot/kernel/") and key.endswith("/config") and "REPO_DIR" in values):
        return False
    below, name = Path(values["REPO_DIR"], "releases/kconfig"), glob.escape(Path(path).name)
    return bool(name) and any(each.is_file() for each in below.rglob(name))
