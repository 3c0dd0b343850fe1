"""When a trial can go on from the last one."""

from __future__ import annotations

import pytest

from cloche.workflows.patch_trials import reason_to_start_over
from cloche.workflows.work_tree import Changed


def changed(path: str, old: str = "100644", new: str = "100644") -> Changed:
    return Changed(path, old, new, "1", "2")


@pytest.mark.parametrize("path", ["src/main.c", "include/x.h", "Makefile", "po/de.po", "a.cmake.c"])
def test_sources_are_compiled_again(path: str) -> None:
    assert reason_to_start_over([changed(path), changed("new.c", "000000")]) is None


@pytest.mark.parametrize(
    "path", ["configure.ac", "m4/x.m4", "src/Makefile.am", "CMakeLists.txt", "lib/meson.build"]
)
def test_what_configure_reads_is_configured_again(path: str) -> None:
    reason = reason_to_start_over([changed("a.c"), changed(path)])
    assert reason == f"{path} may change what configure makes"


def test_links_are_laid_out_again() -> None:
    assert reason_to_start_over([changed("l", "120000", "120000")]) == "l is not a regular file"
