"""What a machine is besides its packages: recorded with each build, so that builds can be compared.

It is what the machine's file says, with digests in the place of contents; of secrets only where
they come from. A record of an older version has none.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Literal

import msgspec

from cloche.building.context import Inputs
from cloche.config.finish_steps import FinishStep
from cloche.config.images import Image
from cloche.config.kernel import Kernel
from cloche.config.kernel_files import said
from cloche.config.machine import Machine
from cloche.decoding import NOT_DECODABLE
from cloche.output.end import NOTHING, Copied, content_of
from cloche.store import Store

System = Mapping[str, Mapping[str, str]]
"""By section ("users", "services", …) what there is, by its name: a value, or ""."""

UNMERGED = "unmerged"  # in the section "removed"
SHORT = 12  # characters of a digest


@dataclass(frozen=True, slots=True)
class SystemChange:
    """How one setting differs; of what only one side has, the other is None."""

    section: str
    name: str
    how: Literal["added", "removed", "changed"]
    before: str | None
    after: str | None


def changes(before: System, after: System) -> tuple[SystemChange, ...]:
    """How two systems differ, by sections and names. A pure function."""
    found = []
    for section in dict.fromkeys((*before, *after)):
        old, new = before.get(section, {}), after.get(section, {})
        for name in sorted(old.keys() | new.keys()):
            if name not in old:
                found.append(SystemChange(section, name, "added", None, new[name]))
            elif name not in new:
                found.append(SystemChange(section, name, "removed", old[name], None))
            elif old[name] != new[name]:
                found.append(SystemChange(section, name, "changed", old[name], new[name]))
    return tuple(found)


def system_of(machine: Machine, inputs: Inputs | None = None, copied: Copied = NOTHING) -> System:
    """What a machine is besides its packages. Reads the directories that it copies, or if a build
    has ``copied`` them, its layers.

    ``inputs`` tell its seed's id.
    """
    sections: dict[str, dict[str, str]] = {}

    def put(section: str, name: str, value: str) -> None:
        own = sections.setdefault(section, {})
        own[name] = f"{own[name]}, {value}" if section in _MORE and name in own else value

    for key, value in _machine(machine, inputs):
        put("machine", key, value)
    if machine.kernel is not None:
        for key, value in _kernel(machine.kernel):
            put("kernel", key, value)
    for step in machine.finish:
        for section, name, value in _step(step, machine.root, copied):
            put(section, name, value)
    for secret in machine.secrets:
        # The words of a command may be a secret themselves.
        source = f"from {secret.file}" if secret.file else f"by {secret.command[0]}"
        put("secrets", secret.title, source)
    return sections


#: Sections in which a name may come more than once; of others the last one counts.
_MORE = ("services", "users")


def _machine(machine: Machine, inputs: Inputs | None) -> Iterator[tuple[str, str]]:
    seed = f" {inputs.base[0].id[:SHORT]}" if inputs and inputs.base else ""
    yield "seed", f"{machine.seed}{seed}"
    yield "root", "minimal" if machine.minimal else "own" if machine.own_root else "seed"
    yield "profile", f"{machine.profile.repo}:{machine.profile.path}"
    if machine.fragments:
        yield "portage", " ".join(each.name for each in machine.fragments)
    if machine.chost:
        yield "chost", machine.chost
    if "stage4" in machine.outputs:
        yield "stage4", machine.compression if machine.below == "/" else machine.below
    for image in machine.images:
        yield f"image {image.name}", ", ".join(_image(image, machine.root))


def _image(image: Image, root: Path) -> Iterator[str]:
    """Its format, the seed of its tools, and what of its options is not as by default."""
    yield type(image.format).__name__.lower()
    if image.tools is not None:
        yield f"tools {image.tools}"
    for field in fields(image.format):
        value = getattr(image.format, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if value != default:
            yield f"{field.name} {_option(value, root)}"


def _option(value: object, root: Path) -> str:
    """An option of an image. Variables may be secrets: of mappings' values there are digests."""
    if isinstance(value, Path):
        listing = repr(content_of(value)).encode(errors="surrogateescape")
        return f"{_printable(os.path.relpath(value, root))} {_short(listing)}"
    if isinstance(value, Mapping):
        return " ".join(f"{_printable(n)}={_short(str(v).encode())}" for n, v in value.items())
    if isinstance(value, tuple):
        return " ".join(_option(each, root) for each in value)
    return _printable(str(value))


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:SHORT]


def _kernel(kernel: Kernel) -> Iterator[tuple[str, str]]:
    """Its package, and what its files say of options."""
    asked = kernel.sources or kernel.dist
    yield "package", asked.atom if asked else ""
    if kernel.target and kernel.sources:
        yield "config", kernel.target
    if kernel.signing:
        certificate = kernel.signing.certificate
        yield "signing", f"{certificate.name} {_short(certificate.content)}"
    if kernel.keep_sources:
        yield "keep_sources", "yes"
    if kernel.initramfs:
        yield "initramfs", " ".join((kernel.initramfs, *kernel.options))
    for file in (*((kernel.config,) if kernel.config else ()), *kernel.merged):
        for name, (value, _) in said(file).items():
            yield f"CONFIG_{name}", value


def _step(step: FinishStep, root: Path, copied: Copied) -> Iterator[tuple[str, str, str]]:
    """Section, name and value of each setting of a step."""
    if step.kind in ("preset_all", "localedef", "minimal"):  # other settings say so
        return
    if step.kind == "files" and step.path is not None:
        for name, mode, digest in content_of(step.path, copied):
            if digest:  # no directory
                short = digest if digest.startswith("link ") else digest[:SHORT]
                yield "files", f"/{_printable(name)}", f"{mode:04o} {_printable(short)}"
    elif step.kind == "hook" and step.path is not None:
        name = _printable(os.path.relpath(step.path, root))
        yield "hooks", name, " ".join(_hook(step, copied))
    elif step.kind == "ssh_keys":
        user, *keys = step.words
        for key in keys:
            yield "ssh keys", f"{user} {fingerprint(key)}", ""
    else:
        section, split = _WORDS[step.kind]
        for word in step.words:
            yield (section, *split(word))


def _hook(step: FinishStep, copied: Copied) -> Iterator[str]:
    yield _short(step.script)
    if step.environment:
        yield f"environment {_short(json.dumps(step.environment, sort_keys=True).encode())}"
    if step.inputs is not None:
        listing = repr(content_of(step.inputs, copied)).encode(errors="surrogateescape")
        yield f"inputs {_short(listing)}"


def fingerprint(key: str) -> str:
    """A public key as ``ssh-keygen -l`` shows it: kind, SHA-256, comment."""
    kind, data, *comment = key.split(None, 2)
    try:
        digest = hashlib.sha256(base64.b64decode(data)).digest()
    except (binascii.Error, ValueError):
        digest = hashlib.sha256(data.encode()).digest()
    return " ".join((kind, f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}", *comment))


def _user(word: str) -> tuple[str, str]:
    name, *fields = word.split(":")
    titles = ("uid", "group", "groups", "comment", "home", "shell")
    told = (f"{title} {value}" for title, value in zip(titles, fields, strict=True) if value)
    return name, ", ".join(told)


def _group(word: str) -> tuple[str, str]:
    name, _, gid = word.partition(":")
    return name, f"gid {gid}" if gid else ""


def _permission(word: str) -> tuple[str, str]:
    owners, mode, path = word.split(" ", 2)
    return path, " ".join(each for each in (owners, mode) if each != "-")


def _owners(word: str) -> tuple[str, str]:
    owners, _, path = word.partition(" ")
    return path, f"{owners} and all below"


def _useradd(word: str) -> tuple[str, str]:
    name, _, groups = word.partition("=")
    return name, f"groups {groups}" if groups else ""


def _named(value: str) -> Callable[[str], tuple[str, str]]:
    return lambda word: (word, value)


#: For steps of words: their section, and how a word becomes a name and a value.
_WORDS: Mapping[str, tuple[str, Callable[[str], tuple[str, str]]]] = {
    "user": ("users", _user),
    "users": ("users", _useradd),
    "group": ("groups", _group),
    "groups": ("groups", _named("")),
    "permission": ("permissions", _permission),
    "owners": ("permissions", _owners),
    "hostname": ("system", lambda word: ("hostname", word)),
    "timezone": ("system", lambda word: ("timezone", word)),
    "locales": ("locales", _named("")),
    "services_on": ("services", _named("on")),
    "services_off": ("services", _named("off")),
    "services_mask": ("services", _named("mask")),
    "presets": ("presets", _named("")),
    "remove": ("removed", _named("")),
    "unmerge": ("removed", _named(UNMERGED)),
    "empty": ("removed", _named("what is in it")),
}


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)


def add_system(store: Store, system: System) -> str:
    """Put a system into the store; the blob's id. Equal ones are one blob."""
    text = gzip.compress(msgspec.json.encode(system), mtime=0)
    with store.workspace("system") as room:
        (room / "system").write_bytes(text)
        return store.add_blob(room / "system", "a machine's system").id


def stored_system(store: Store, blob: str) -> System | None:
    """The system in a blob; None if the store does not have it."""
    if not blob or not store.has_blob(blob):
        return None
    try:
        with gzip.open(store.blob(blob).path, "rb") as file:
            return msgspec.json.decode(file.read(), type=dict[str, dict[str, str]])
    except (*NOT_DECODABLE, OSError, EOFError):
        return None
