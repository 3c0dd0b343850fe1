"""Which versions of a package the repositories have."""

from __future__ import annotations

from pathlib import Path

from tests.values import write_files

from cloche.workflows.patch_package import in_words, versions


def test_versions_are_those_of_the_package_in_their_order(tmp_path: Path) -> None:
    names = ("jq-1.10", "jq-1.9-r1", "jq-1.9", "jq-lib-1", "jq-abc", "jq-9999")
    write_files(tmp_path / "one", [f"app-misc/jq/{name}.ebuild" for name in names])
    write_files(tmp_path / "two", ["app-misc/jq/jq-2.0_rc1.ebuild", "app-misc/jq/jq-1.9.ebuild"])
    found = versions([tmp_path / "one", tmp_path / "two"], "app-misc", "jq")
    assert found == ("1.9", "1.9-r1", "1.10", "2.0_rc1", "9999")
    assert versions([tmp_path / "one"], "app-misc", "other") == ()


def test_of_many_versions_the_newest_are_named() -> None:
    assert in_words(["1"]) == "there is 1"
    assert in_words(["1", "2"]) == "there are 1, 2"
    assert (
        in_words([str(n) for n in range(20)]) == f"there are … {', '.join(map(str, range(8, 20)))}"
    )
