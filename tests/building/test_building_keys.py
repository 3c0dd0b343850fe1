"""Keys of what our own code in a sandbox is asked: a change of any of it asks again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests import values

from cloche.building import advisories, kernels
from cloche.building.context import BuildContext, Repo
from cloche.config.lock import RepoPin
from cloche.store import Key, Store
from cloche.targets import machines

KERNEL: Any = SimpleNamespace(sources=SimpleNamespace(atom="sys-kernel/sources"))


@pytest.mark.parametrize(
    ("module", "ask"),
    [
        (advisories, lambda context: advisories.advisories(context, (), (), ())),
        (kernels, lambda context: kernels._sources(context, KERNEL)),
        (machines, lambda context: machines.versions(context, ["a/b"])),
    ],
    ids=["advisories", "kernels", "versions"],
)
def test_the_guests_code_is_part_of_a_key(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    ask: Callable[[BuildContext], object],
) -> None:
    (tmp_path / "repo/metadata/glsa").mkdir(parents=True)
    repo = Repo("r", RepoPin("directory", "tree"), tmp_path / "repo")
    asked: list[str] = []

    def once(_: BuildContext, __: str, key: Key, *___: object) -> None:
        asked.append(key.digest)
        raise LookupError

    monkeypatch.setattr(module, "once", once)
    with Store.open(tmp_path / "store") as store:
        for guest in ("one", "one", "two"):
            with pytest.raises(LookupError):
                ask(values.context(store, guest=guest, repos={"r": repo}))
    assert asked[0] == asked[1] != asked[2]
