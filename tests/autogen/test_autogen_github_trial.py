"""A release of a real project is generated and built under glass, with its tests."""

from __future__ import annotations

import gzip
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.autogen.forge import served_forge
from tests.support import Store, project

from cloche.seeds.debian.apt import find_mirror

PROJECT = Path(__file__).parent / "project"
# As upstream released it: Debian keeps such archives beside its own changes.
SOURCE = "pool/main/f/fribidi/fribidi_1.0.8.orig.tar.bz2"


@pytest.mark.real
def test_a_release_is_built_with_its_tests(
    root_seeded: Store, fresh: Callable[[Store], Store]
) -> None:
    address = find_mirror("bookworm").uri.rstrip("/").replace("copy:", "file:")
    with urllib.request.urlopen(f"{address}/{SOURCE}", timeout=600) as answer:
        source = answer.read()
    store = fresh(root_seeded)
    place = project(store, PROJECT)
    with served_forge("fribidi/fribidi") as forge:
        forge.about["license"]["spdx_id"] = "LGPL-2.1-or-later"
        forge.release("v1.0.8", files={"meson.build": "project('fribidi', 'c')\n"})
        forge.asset("v1.0.8", "fribidi-1.0.8.tar.bz2", source)
        words = ("--api-url", forge.address, "--distdir", place / "dist", "--build", "py", "--fix")
        store.user.own(place)
        done = store.cloche(
            "autogen", "github", forge.name, "--category", "dev-libs", *words, cwd=place
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        ebuild = (place / "own/dev-libs/fribidi/fribidi-1.0.8.ebuild").read_text()
        assert "inherit meson" in ebuild
        assert 'LICENSE="LGPL-2.1+"' in ebuild
        (log,) = (store.path / "logs/dev-libs/fribidi-1.0.8").glob("*-build.log.gz")
        text = gzip.decompress(log.read_bytes()).decode()
        passed = re.search(r"^Ok: +(\d+)", text, re.MULTILINE)
        assert passed, text
        assert int(passed[1]) == 8
        assert (place / "own/metadata/md5-cache/dev-libs/fribidi-1.0.8").is_file()
