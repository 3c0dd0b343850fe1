"""What is made of a machine beside its packages, as one digest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import values

from cloche.building.context import Inputs
from cloche.config.project import load_project
from cloche.output.end import end_digest
from cloche.store import Store

STEPS = """
[[finish]]
files = "files/all"

[[finish]]
hook = "hooks/end"
"""


@pytest.fixture
def inputs(tmp_path: Path) -> Iterator[Inputs]:
    with Store.open(tmp_path / "store") as store:
        yield values.context(store).inputs


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A project whose machine has files, a hook and a tarball."""
    place = tmp_path / "p"
    values.project(place)
    values.write_files(place, {"files/all/etc/motd": "hello", "hooks/end": "#!/bin/sh\n"})
    (place / "hooks/end").chmod(0o755)
    file = place / "machines/first.toml"
    file.write_text(f"{file.read_text()}{STEPS}")
    return place


def end(place: Path, inputs: Inputs) -> str:
    """The digest of the machine as it is declared now."""
    return end_digest(load_project(place).machine("first"), inputs)


def test_it_changes_with_all_that_is_done_and_with_nothing_else(
    place: Path, inputs: Inputs
) -> None:
    before = {end(place, inputs)}
    file, motd, hook = (
        place / name for name in ("machines/first.toml", "files/all/etc/motd", "hooks/end")
    )
    text = file.read_text()
    file.write_text(f"# A comment.\n{text}")
    assert {end(place, inputs)} == before
    for change in (
        lambda: file.write_text(f'hostname = "other"\n{text}'),
        lambda: file.write_text(text + '\n[[finish]]\nremove = ["/etc/motd"]\n'),
        lambda: file.write_text(text.replace("[output]\n", '[output]\ncompression = "xz"\n')),
        lambda: motd.write_text("good bye"),
        lambda: motd.chmod(0o600),
        lambda: hook.write_text("#!/bin/sh\ntrue\n"),
    ):
        change()
        now = end(place, inputs)
        assert now not in before
        before.add(now)


def test_it_changes_with_the_definitions_of_an_image(place: Path, inputs: Inputs) -> None:
    values.write_files(place, {"repart/root.conf": "[Partition]\nType=root\n"})
    file = place / "machines/first.toml"
    words = 'format = "disk"\ntools = "debian"\nrepart = "repart"\n'
    file.write_text(f"{file.read_text()}\n[output.images.disk]\n{words}")
    before = end(place, inputs)
    (place / "repart/root.conf").write_text("[Partition]\nType=usr\n")
    assert end(place, inputs) != before


def test_what_an_image_was_made_of_counts_as_it_was_then(place: Path, inputs: Inputs) -> None:
    """A file that changes while the image is made is a change, and not a part of what was built."""
    values.write_files(place, {"medium/a": "a\n"})
    file = place / "machines/first.toml"
    words = 'format = "iso"\ntools = "debian"\nvolid = "X"\nfiles = ["medium"]\n'
    file.write_text(f"{file.read_text()}\n[output.images.live]\n{words}")
    before = end(place, inputs)
    values.write_files(place / "stored", {"a": "a\n"})
    (place / "medium/a").write_text("another")
    copied = {place / "medium": values.layer(place / "stored")}
    assert end_digest(load_project(place).machine("first"), inputs, copied) == before
    assert end(place, inputs) != before
