"""Gentoo's stage3: the newest of a flavour from a mirror, or the locked one, or a local file.

The layout of a mirror: ``releases/ARCH/autobuilds/`` holds ``latest-stage3-ARCH-FLAVOUR.txt``,
signed in clear text, whose lines are ``STAMP/stage3-ARCH-FLAVOUR-STAMP.tar.xz SIZE``; beside each
tarball lie ``.DIGESTS``, signed in clear text, and ``.asc``, a detached signature.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cloche.archives import import_tarball
from cloche.config.errors import nearest
from cloche.config.lock import Stage3Seed
from cloche.errors import Exit
from cloche.fetching.download import (
    ALGORITHMS,
    check_digests,
    fetch_file,
    fetch_text,
    gentoo_mirror,
    shown,
)
from cloche.fetching.errors import NotThereError, WrongContentError
from cloche.fetching.openpgp import GENTOO_KEYRING, Keyring, opened
from cloche.seeds.arch import host_arch
from cloche.seeds.errors import SeedError, missing_file
from cloche.seeds.types import SeedContext, SeedRequest

_FILE = re.compile(r"stage3-([\w.+-]+)-(\d{8}T\d{6}Z)\.tar\.(?:xz|bz2|gz|zst)")
_ENTRY = re.compile(r"(\d{8}T\d{6}Z)/(stage3-[\w.+-]+\.tar\.(?:xz|bz2|gz|zst))\s+(\d+)")


@dataclass(frozen=True, slots=True)
class Pointer:
    """What a pointer file names: the directory, the tarball in it, its size in bytes."""

    stamp: str
    file: str
    size: int


def make(request: SeedRequest, room: Path, context: SeedContext) -> tuple[Path, Stage3Seed]:
    """Take a stage3, check it, unpack it in ``room``; give its tree and its lock.

    Raises `SeedError`, `FetchingError`, and what the import of a tarball raises.
    """
    local = request.path("file")
    locked = request.pinned if isinstance(request.pinned, Stage3Seed) else None
    if local is not None:
        tarball, seed = local, _local(request, local, locked, context)
    elif locked is not None:
        tarball, seed = _again(request, locked, context)
    else:
        tarball, seed = _newest(request, context)
    tree = room / "tree"
    context.report(f"unpacking {seed.file}")
    import_tarball(tarball, tree)
    if tarball != local:
        tarball.unlink()
    return tree, seed


def flavours(base: str) -> tuple[str, ...]:
    """The names of all stage3s that the autobuilds at ``base`` have: ``amd64-openrc`` …

    Out of ``latest-stage3.txt``, which only serves for advice and is not checked.
    """
    text = fetch_text(f"{base}/latest-stage3.txt")
    found = (_FILE.fullmatch(match[2]) for match in _ENTRY.finditer(text))
    return tuple(sorted({match[1] for match in found if match}))


def _flavour_of(name: str, arch: str) -> str:
    """What `flavour` has to be for a stage3 of that name: ``openrc``, ``i686:openrc``."""
    first, _, rest = name.partition("-")
    return rest if first == arch else f"{first}:{rest}"


def pointer_of(text: str, source: str) -> Pointer:
    """The one entry of a pointer file's signed text. Raises `WrongContentError`."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    entry = _ENTRY.fullmatch(lines[0].strip()) if len(lines) == 1 else None
    if entry is None:
        raise WrongContentError(source, "not a pointer to a stage3")
    return Pointer(entry[1], entry[2], int(entry[3]))


def digests_of(text: str, file: str) -> Mapping[str, str]:
    """What a .DIGESTS says of ``file``, by Manifest hash name."""
    found: dict[str, str] = {}
    kind = ""
    for line in text.splitlines():
        if heading := re.fullmatch(r"# (\w+) HASH", line.strip()):
            kind = heading[1]
        elif (words := line.split()) and len(words) == 2 and words[1] == file:
            found[kind] = words[0].lower()
    return {name: found[name] for name in ALGORITHMS if name in found}


def _newest(request: SeedRequest, context: SeedContext) -> tuple[Path, Stage3Seed]:
    """What the pointer names. It may move on in between, and its old tarball go."""
    with opened(_keyring(request, context)) as keyring:
        pointer = _pointer(request, context, keyring)
        try:
            return _taken(request, context, keyring, pointer)
        except (NotThereError, WrongContentError) as error:
            again = _pointer(request, context, keyring)
            if again == pointer:
                raise
            context.report(f"the mirror has moved on to {again.file}")
            try:
                return _taken(request, context, keyring, again)
            except (NotThereError, WrongContentError):
                raise SeedError(
                    f"the mirror moved from {pointer.file} to {again.file}; neither is complete",
                    where=f"[seeds.{request.spec.name}]",
                    todo="try again later, or use another mirror",
                    status=Exit.FAILED,
                ) from error


def _pointer(request: SeedRequest, context: SeedContext, keyring: Keyring) -> Pointer:
    base, name = _autobuilds(request, context), _name(request)
    address = f"{base}/latest-stage3-{name}.txt"
    context.report(f"looking for the newest stage3-{name}")
    try:
        text = fetch_text(address)
    except NotThereError as error:
        try:
            known = tuple(_flavour_of(each, _arch(request)) for each in flavours(base))
        except NotThereError:
            raise SeedError(
                f"the mirror has no stage3 of {_arch(request)}",
                where=shown(base),
                todo="check `arch`, which is Gentoo's word, and the mirror's address",
                status=Exit.FAILED,
            ) from error
        close = nearest(_flavour_of(name, _arch(request)), known)
        meant = f"did you mean “{close}”? " if close else ""
        raise SeedError(
            f"the mirror has no stage3-{name}",
            where=f"[seeds.{request.spec.name}]",
            todo=f"{meant}there is: {', '.join(known)}",
        ) from error
    body, _ = keyring.signed_text(text, shown(address))
    pointer = pointer_of(body, shown(address))
    match = _FILE.fullmatch(pointer.file)
    if match is None or match.groups() != (name, pointer.stamp):
        raise WrongContentError(shown(address), f"it names another stage3: {pointer.file}")
    _forward(request, name, pointer)
    return pointer


def _forward(request: SeedRequest, name: str, pointer: Pointer) -> None:
    """Refuse a mirror that is behind the lock: an old stage3 has known vulnerabilities."""
    locked = request.locked
    match = _FILE.fullmatch(locked.file) if isinstance(locked, Stage3Seed) else None
    if match is not None and match[1] == name and pointer.stamp < match[2]:
        seed = f"[seeds.{request.spec.name}]"
        raise SeedError(
            f"the mirror is behind: it offers {pointer.file}, cloche.lock has {match[2]}",
            where=seed,
            todo=f"use another mirror; to go back on purpose, remove {seed} of cloche.lock",
            status=Exit.FAILED,
        )


def _taken(
    request: SeedRequest, context: SeedContext, keyring: Keyring, pointer: Pointer
) -> tuple[Path, Stage3Seed]:
    """Fetch what a pointer names, and check everything."""
    address = f"{_autobuilds(request, context)}/{pointer.stamp}/{pointer.file}"
    text, _ = keyring.signed_text(fetch_text(f"{address}.DIGESTS"), f"{shown(address)}.DIGESTS")
    digests = digests_of(text, pointer.file)
    signature = _cached(f"{pointer.file}.asc", request, context)
    signature.write_text(fetch_text(f"{address}.asc"))
    tarball = _fetched(address, request, pointer, digests, context)
    signer = keyring.check(tarball, signature, shown(address))
    signature.unlink()
    arch, flavour = _arch(request), request.spec.text("flavour") or "openrc"
    return tarball, Stage3Seed(arch, flavour, pointer.file, pointer.size, digests, signer)


def _again(
    request: SeedRequest, locked: Stage3Seed, context: SeedContext
) -> tuple[Path, Stage3Seed]:
    """The locked tarball: its digests were signed when it was locked."""
    match = _FILE.fullmatch(locked.file)
    stamp = match[2] if match else ""
    address = f"{_autobuilds(request, context)}/{stamp}/{locked.file}"
    try:
        tarball = _fetched(
            address, request, Pointer(stamp, locked.file, locked.size), locked.digests, context
        )
    except NotThereError as error:
        raise SeedError(
            f"the mirror no longer has {locked.file}, which cloche.lock pins",
            where=shown(address),
            todo="use a mirror or a `file` that has it, or take the newest with "
            f"`cloche seed bootstrap {request.spec.name} --update`",
            status=Exit.FAILED,
        ) from error
    return tarball, replace(locked, layer="")


def _cached(file: str, request: SeedRequest, context: SeedContext) -> Path:
    """Where a file is kept on its way: apart from that of other seeds, made at once perhaps."""
    return context.cache / f"{request.spec.name}.{file}"


def _fetched(
    address: str,
    request: SeedRequest,
    pointer: Pointer,
    digests: Mapping[str, str],
    context: SeedContext,
) -> Path:
    """A tarball in the cache that is the announced one."""
    tarball = _cached(pointer.file, request, context)
    context.report(f"fetching {pointer.file}")
    fetch_file(address, tarball, size=pointer.size, progress=context.progress)
    context.report("checking digests and signature")
    try:
        check_digests(tarball, digests, shown(address))
    except WrongContentError:
        tarball.unlink()
        raise
    return tarball


def _local(
    request: SeedRequest, file: Path, locked: Stage3Seed | None, context: SeedContext
) -> Stage3Seed:
    """A tarball of the host with its signature beside it, or the locked one without."""
    if not file.is_file():
        raise missing_file(request.spec.name, "file", file)
    if not file.name.isprintable():  # it becomes a line of the lock
        raise WrongContentError(ascii(str(file)), "a name that is not printable")
    size, digests, signer = file.stat().st_size, dict[str, str](), ""
    if locked is not None:
        check_digests(file, locked.digests, str(file))
        return replace(locked, layer="")
    signature, listed = (file.with_name(f"{file.name}{end}") for end in (".asc", ".DIGESTS"))
    if not signature.is_file():
        raise SeedError(
            f"there is no {file.name}.asc beside it",
            where=file,
            todo='put it there, or declare the file as `type = "tarball"`, which is not verified',
        )
    with opened(_keyring(request, context)) as keyring:
        if listed.is_file():
            text, _ = keyring.signed_text(listed.read_text(errors="replace"), str(listed))
            digests = dict(digests_of(text, file.name))
            check_digests(file, digests, str(file))
        signer = keyring.check(file, signature, str(file))
    digests = digests or {"SHA512": _sha512(file)}
    match = _FILE.fullmatch(file.name)
    arch, _, flavour = (match[1] if match else _name(request)).partition("-")
    return Stage3Seed(arch, flavour, file.name, size, digests, signer)


def _sha512(file: Path) -> str:
    import hashlib

    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha512").hexdigest()


def _autobuilds(request: SeedRequest, context: SeedContext) -> str:
    """The directory of the mirror that holds the architecture's stages."""
    mirror = gentoo_mirror(context.mirror, request.spec.text("mirror"))
    return f"{mirror}/releases/{_arch(request)}/autobuilds"


def _arch(request: SeedRequest) -> str:
    return request.spec.text("arch") or host_arch().gentoo


def _name(request: SeedRequest) -> str:
    """The part of the names that tells stages apart: some have another word than ARCH (i686)."""
    flavour = request.spec.text("flavour") or "openrc"
    subarch, _, rest = flavour.partition(":")
    return f"{subarch}-{rest}" if rest else f"{_arch(request)}-{flavour}"


def _keyring(request: SeedRequest, context: SeedContext) -> Path:
    return context.keyring or request.path("keyring") or GENTOO_KEYRING
