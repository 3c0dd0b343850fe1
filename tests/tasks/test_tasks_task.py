"""Tasks are frozen values that survive their way as text, and name all that a store needs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cloche.decoding import NOT_DECODABLE
from cloche.plan.depgraph import Distfile
from cloche.sandbox.base import Limits
from cloche.tasks.task import (
    BuildTask,
    CompileCache,
    Cross,
    Distribution,
    LiveSources,
    MergeTask,
    Task,
    decode_task,
    encode_task,
)

STEP: dict[str, Any] = {
    "package": "c/a-1::r",
    "cpv": "c/a-1",
    "pf": "a-1",
    "repo": "r",
    "base": ("seed", "config"),
    "layers": ("one", "two"),
    "root": ("three",),
    "repositories": {"r": "tree of r", "gentoo": "tree of gentoo"},
    "environment": {"PORTAGE_REPOSITORIES": "[r]\nlocation = /x\n"},
    "limits": Limits(processes=7, memory=1 << 30),
    "phase_seconds": 60.5,
    "disk_reserve": 1 << 20,
    "kept_as": "place@m@c_a-1",
    "quiet": True,
    "cross": Cross(
        "aarch64-unknown-linux-gnu", "x86_64-pc-linux-gnu", "aarch64-", "seed tree", "q"
    ),
    "interpreters": "interpreters tree",
}
SOURCE = Distfile("a.tar", 3, {"SHA512": "0"}, ("mirror://x/a.tar",))
BUILD = BuildTask(
    **STEP,
    use=("x", "y"),
    masters={"r": ("gentoo",)},
    inherited=("git-r3",),
    distfiles=(SOURCE,),
    cores=3,
    live=LiveSources("live tree", {"EVCS_OFFLINE": "1"}),
    ccache=CompileCache("compilers", "tarball"),
    distcc=Distribution(("build1/4",), ("4" * 64,), 4),
    variables={"CHOST": "x86_64-pc-linux-gnu"},
)
FRUGAL = msgspec.structs.replace(  # needs nothing from a store
    BUILD,
    base=(),
    layers=(),
    root=None,
    repositories={},
    distfiles=(),
    ccache=None,
    distcc=None,
    live=None,
    cross=None,
    interpreters=None,
)
MERGE = MergeTask(**STEP, gpkg="blob", metadata={"SLOT": "0", "nested": {"n": [1]}})
LEAST = {name: STEP[name] for name in ("package", "cpv", "pf", "repo", "base", "layers")}
PLAIN = BuildTask(**LEAST, repositories={})


@pytest.mark.parametrize("task", [BUILD, MERGE, PLAIN], ids=["build", "merge", "plain"])
def test_a_task_comes_back_as_it_went(task: Task) -> None:
    again = decode_task(encode_task(task))
    assert again == task
    assert type(again) is type(task)


def test_every_field_of_the_examples_differs_from_its_default() -> None:
    """Or else a field that gets lost would be seen by nobody."""
    for task in (BUILD, MERGE):
        plain = msgspec.structs.asdict(type(task)(**LEAST, repositories={}, **_own(task)))
        for name, value in msgspec.structs.asdict(task).items():
            if name not in LEAST and name != "gpkg":
                assert value != plain[name], name


def _own(task: Task) -> dict[str, str]:
    return {"gpkg": "blob"} if isinstance(task, MergeTask) else {}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        encode_task(BUILD).replace(b'"build"', b'"other"'),
        encode_task(MERGE).replace(b'"gpkg"', b'"gpgk"'),
        encode_task(BUILD).replace(b'"layers":["one","two"]', b'"layers":"one"'),
    ],
)
def test_what_is_not_a_task_is_refused(text: bytes) -> None:
    with pytest.raises(NOT_DECODABLE):
        decode_task(text)


def test_a_task_names_all_that_a_store_needs() -> None:
    of_step = ("seed", "config", "one", "two", "three", "tree of r", "tree of gentoo")
    trees = (*of_step, "seed tree", "interpreters tree")
    assert (BUILD.trees, BUILD.blobs, BUILD.sources) == (
        (*trees, "live tree"),
        ("tarball",),
        (SOURCE,),
    )
    assert (MERGE.trees, MERGE.blobs, MERGE.sources) == (trees, ("blob",), ())


@pytest.mark.parametrize("task", [BUILD, MERGE], ids=["build", "merge"])
def test_a_task_is_frozen(task: Task) -> None:
    with pytest.raises(AttributeError):
        task.quiet = False  # type: ignore[misc]
