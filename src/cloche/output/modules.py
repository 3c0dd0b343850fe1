"""Signs the modules of a finished root: a layer over it, made by this process alone.

A signature is as public as the certificate, so the layer lies in the store like all others, and all
outputs have it. The key is needed only where there are modules that it has not signed yet.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from cloche.building.context import BuildContext
from cloche.building.stages import once
from cloche.composing.footprint import VDB
from cloche.config.errors import ConfigError
from cloche.config.kernel_signing import HASH, Signing
from cloche.layers import Layer, Merged, commit
from cloche.layers.copying import give_attributes
from cloche.layers.merge import Node, open_node
from cloche.output.signature import MAGIC, Signer, signer
from cloche.plan.keys import layer_parts
from cloche.records.events import Note
from cloche.store import Outcome, make_key

FORMAT: Final = "1"  # raise it when modules are signed in another way
PLACES: Final = ("lib/modules", "usr/lib/modules")
COMPRESSED: Final = (".ko.gz", ".ko.xz", ".ko.zst")
_ENTRY: Final = re.compile(rb"obj (?:/usr)?(/lib/modules/.+) ([0-9a-f]{32}) (\d+)")


def sign_modules(
    context: BuildContext, signing: Signing, layers: Sequence[Layer], key: bytes | None
) -> tuple[Layer, ...]:
    """A layer with the modules of ``layers`` signed, none where there are none.

    Without the ``key`` a layer that was made before is taken; if there is none, a note says so.
    Raises `ConfigError`, ClocheError.
    """
    having = [each for each in layers if _has_modules(each)]
    if not having:
        return ()
    parts = {
        **layer_parts([(each.label, each.id) for each in having]),
        "certificate": hashlib.sha256(signing.certificate.content).hexdigest(),
        "hash": HASH,
        "format": FORMAT,
    }
    wanted = make_key("signed modules", parts)
    if key is None and context.store.action(wanted.digest) is None:
        text = f"{signing.origin}: modules are not signed; `--secrets` signs them"
        context.bus(Note(text=text, level="warning"))
        return ()
    made = once(context, "sign", wanted, lambda: _signed(context, signing, having, key or b""))
    return (context.layer(made["layer"]),)


def _has_modules(layer: Layer) -> bool:
    """Whether a layer has a directory of modules; its links may lead anywhere on this host."""
    merged = Merged([layer.path])
    found = (merged.lookup(os.fsencode(place)) for place in PLACES)
    return any(node is not None and node.is_directory for node in found)


def _signed(
    context: BuildContext, signing: Signing, layers: Sequence[Layer], key: bytes
) -> Outcome:
    merged = Merged([each.path for each in layers])
    with context.store.workspace("sign") as workspace, signer(signing, key) as own:
        tree = workspace / "tree"
        own.check()
        modules = list(unsigned(merged, signing))
        with ThreadPoolExecutor(context.policy.cores) as pool:
            digests = dict(pool.map(lambda node: _written(own, node, tree), modules))
        correct_contents(merged, digests, tree)
        _like_below(merged, tree)
        layer = commit(context.store, tree, kind="finish", label=context.inputs.machine, rules={})
    return Outcome({"layer": layer.id})


def unsigned(merged: Merged, signing: Signing) -> Iterator[Node]:
    """The modules without a signature. Raises `ConfigError` for one that cannot have any."""
    for place in PLACES:
        directory = merged.lookup(os.fsencode(place))
        if directory is None or not directory.is_directory:
            continue
        for node in merged.walk(directory):
            name = os.fsdecode(node.path)
            if not stat.S_ISREG(node.info.st_mode):
                continue
            if name.endswith(COMPRESSED):
                what = f"/{name} is compressed, and can only be signed before that"
                todo = "switch compression off where it is built (CONFIG_MODULE_COMPRESS…)"
                raise ConfigError(signing.origin, what, todo)
            if name.endswith(".ko") and not _content(node).endswith(MAGIC):
                yield node


def _written(own: Signer, node: Node, tree: Path) -> tuple[bytes, bytes]:
    """Write a signed module; give its path below /lib/modules and its new MD5."""
    content = own.signed(_content(node))
    _place(node, tree, content)
    path = node.path.removeprefix(b"usr")
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return b"/" + path.lstrip(b"/"), digest.encode()


def correct_contents(merged: Merged, digests: Mapping[bytes, bytes], tree: Path) -> None:
    """Let the VDB know the signed modules: CONTENTS of their packages, with the new MD5."""
    vdb = merged.lookup(os.fsencode(VDB))
    if vdb is None or not digests:
        return

    def corrected(line: bytes) -> bytes:
        found = _ENTRY.fullmatch(line)
        new = digests.get(found[1]) if found else None
        return line if found is None or new is None else line.replace(found[2], new)

    for node in merged.walk(vdb):
        if node.path.endswith(b"/CONTENTS"):
            before = _content(node)
            after = b"\n".join(map(corrected, before.split(b"\n")))
            if after != before:
                _place(node, tree, after)


def _place(node: Node, tree: Path, content: bytes) -> None:
    """Write a file in the place of another, with its attributes."""
    target = tree / os.fsdecode(node.path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    give_attributes(node, os.fsencode(target))


def _like_below(merged: Merged, tree: Path) -> None:
    """Give the directories of a layer the attributes that they have below it."""
    tree.mkdir(exist_ok=True)
    for place in sorted((each for each in tree.rglob("*") if each.is_dir()), reverse=True):
        node = merged.lookup(os.fsencode(place.relative_to(tree)))
        if node is not None:
            give_attributes(node, os.fsencode(place))
    if merged.root is not None:
        give_attributes(merged.root, os.fsencode(tree))


def _content(node: Node) -> bytes:
    with open_node(node) as file:
        return file.read()
