"""News items of a machine's repositories (GLEP 42): which are relevant, and which were read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from cloche.building.context import BuildContext
from cloche.building.stages import once, stage_call, stage_failed
from cloche.layers import Layer
from cloche.plan.keys import layer_parts
from cloche.records.logs import new_log
from cloche.store import Outcome, Store, make_key, names
from cloche.tasks.guestcall import call

LONGEST = 1 << 20  # bytes of an item; usual ones have a few thousand
_NAME = re.compile(
    r"\d{4}-\d{2}-\d{2}-[a-z0-9+_-]{1,100}", re.ASCII
)  # GLEP 42; real ones are longer
_HEADER = re.compile(r"(Title|Posted): *(.*)")


@dataclass(frozen=True, slots=True)
class Item:
    """A news item; ``text`` is its whole file."""

    repository: str
    name: str
    title: str
    posted: str
    text: str
    read: bool


def news(context: BuildContext, layers: Sequence[Layer]) -> tuple[Item, ...]:
    """The relevant items for a machine of these layers, the oldest first. Raises StepError."""
    places = {name: path / "metadata/news" for name, path in context.inputs.snapshots.items()}
    places = {name: path for name, path in places.items() if _items_in(path)}
    if not places:
        return ()
    parts = {
        **{f"news {name}": _digest(path) for name, path in places.items()},
        **{
            f"repository {r.name}": r.tree
            for r in context.inputs.repos.values()
            if r.name in places
        },
        **{f"base {layer.kind}": layer.id for layer in context.inputs.base},
        **context.inputs.key_root,
        **layer_parts([(layer.label, layer.id) for layer in layers]),
    }
    outputs = once(
        context, "news", make_key("news", parts), lambda: _ask(context, layers, list(places))
    )
    found = msgspec.json.decode(
        context.store.blob(outputs["items"]).path.read_bytes(), type=dict[str, list[str]]
    )
    marked = read_marks(context.store, context.inputs.place)
    items = [
        _item(name, places[name], each, marked)
        for name, names in found.items()
        for each in names
        if each in _items_in(places[name])
    ]
    return tuple(sorted(items, key=lambda item: (item.name, item.repository)))


def read_marks(store: Store, place: str) -> frozenset[str]:
    """``REPOSITORY/NAME`` of the items that were read in a project."""
    pin = store.pin_of(names.news(place))
    return frozenset(map(str, pin.data.get("read", ()))) if pin else frozenset()


def mark_read(store: Store, place: str, items: Iterable[Item]) -> None:
    """Mark items as read, for all machines of the project."""
    with store.lock(f"news-{place}"):
        marked = read_marks(store, place) | {f"{item.repository}/{item.name}" for item in items}
        store.pin(names.news(place), (), (), {"read": sorted(marked)})


def _items_in(place: Path) -> frozenset[str]:
    """Names of a repository's items that have an English text, which is mandatory."""
    if place.is_symlink() or not place.is_dir():
        return frozenset()
    return frozenset(
        path.name for path in place.iterdir() if _NAME.fullmatch(path.name) and _is_item(path)
    )


def _is_item(path: Path) -> bool:
    text = path / f"{path.name}.en.txt"
    return not path.is_symlink() and not text.is_symlink() and text.is_file()


def _digest(place: Path) -> str:
    digest = hashlib.sha256()
    for name in sorted(_items_in(place)):
        content = hashlib.sha256((place / name / f"{name}.en.txt").read_bytes()).hexdigest()
        digest.update(f"{name} {content}\n".encode())
    return digest.hexdigest()


def _item(repository: str, place: Path, name: str, marked: frozenset[str]) -> Item:
    with (place / name / f"{name}.en.txt").open("rb") as file:
        text = file.read(LONGEST).decode(errors="replace")
    lines = text.partition("\n\n")[0].split("\n")
    head = {m[1]: m[2] for line in lines if (m := _HEADER.fullmatch(line.rstrip()))}
    return Item(
        repository, name, head.get("Title", name), head.get("Posted", name[:10]), text,
        f"{repository}/{name}" in marked,
    )  # fmt: skip


def _ask(context: BuildContext, layers: Sequence[Layer], repositories: list[str]) -> Outcome:
    log = new_log(context.store, context.inputs.log_name, "news")
    with context.store.workspace("news") as workspace:
        request = {"repositories": repositories}
        wanted = stage_call(context, "news", request, workspace, log, layers=layers)
        result, _ = call(context.engine, context.running, wanted)
        if result.get("status") != "ok":
            raise stage_failed(context, "news", str(result.get("text") or "the guest failed"), log)
        path = workspace / "items.json"
        path.write_bytes(msgspec.json.encode(_named(result.get("items"))))
        blob = context.store.add_blob(path, f"news of {context.inputs.machine}")
    return Outcome({"items": blob.id}, str(log.relative_to(context.store.logs)))


def _named(answer: Any) -> dict[str, list[str]]:
    """The well-formed part of a guest's answer."""
    try:
        return msgspec.convert(answer, dict[str, list[str]])
    except msgspec.ValidationError:
        return {}
