"""hello with its C library, both from source, as an image of a few hundred kilobytes."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest
from tests import containers
from tests.support import ROOT, Store, project

pytestmark = [pytest.mark.real, pytest.mark.proof(name="images")]

CONTENT = {"usr/bin/hello", "usr/lib/libc.so", "lib/ld-musl-x86_64.so.1"}


def test_hello_and_musl_are_all_that_is_in_the_image(root_seeded: Store, ground: Path) -> None:
    (ground / "minimal").mkdir()
    store = root_seeded.copy(ground / "minimal/store")
    place = project(store, ROOT / "examples/minimal")
    shutil.copytree(ROOT / "examples/workbench/repo", place.parent / "workbench/repo")
    store.cloche("build", "hello", cwd=place, check=True)
    archive = place / "out/hello/hello.oci.tar"
    assert archive.stat().st_size < 1_000_000
    with tarfile.open(archive) as image:
        largest = max(image, key=lambda member: member.size)
        with tarfile.open(fileobj=image.extractfile(largest)) as layer:
            assert {each.name for each in layer if not each.isdir()} == CONTENT
    with containers.loaded(archive, "hello:latest") as podman:
        assert podman(*containers.RUN, "hello:latest") == "Hello, world!\n"
    told = store.cloche("audit", "hello", "--json", cwd=place, check=True)
    assert json.loads(told.stdout)["passed"]
