"""What is written about a medium's files, whatever their names are."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests import values

from cloche.output.iso import sum_line


@pytest.mark.parametrize("name", ["plain", "back\\slash", "two\nlines", "not UTF-8 \udcff"])
def test_digests_are_written_as_b2sum_writes_them(tmp_path: Path, name: str) -> None:
    values.write_files(tmp_path, {name: "content"})
    words = ["b2sum", f"./{name}"]
    said = subprocess.run(words, cwd=tmp_path, check=True, capture_output=True).stdout
    line = said.decode(errors="surrogateescape")
    digest = line.lstrip("\\").split(" ")[0]
    assert sum_line(digest, name) == line
