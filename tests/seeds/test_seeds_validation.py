"""A directory whose "Portage" is out to keep whoever tries it waiting: told from a seed at once."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from tests.support import User

pytestmark = pytest.mark.real

PROJECT = '[seeds.odd]\ntype = "directory"\npath = "tree"\n'


@pytest.fixture
def tree(root: User, tmp_path: Path) -> Path:
    """A project with a tree that has nothing but a shell of this host's and its libraries."""
    (tmp_path / "cloche.toml").write_text(PROJECT)
    tree = tmp_path / "tree"
    for directory in ("usr/bin", "etc", "bin"):
        (tree / directory).mkdir(parents=True)
    (tree / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    bash = shutil.which("bash")
    assert bash
    shutil.copy(bash, tree / "bin/bash")
    for line in subprocess.run(["ldd", bash], capture_output=True, text=True).stdout.splitlines():
        path = next((word for word in line.split() if word.startswith("/")), None)
        if path:
            (tree / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tree / path.lstrip("/"))
    return tree


@pytest.mark.parametrize(
    ("code", "said"),
    [
        # More to standard error than a pipe holds, before a word on standard output.
        ('printf "%300000s\\n" broken >&2; exit 1', "Portage does not run in it: "),
        ("while :; do printf '%65536s' x; done", "/usr/bin/python3 writes too much output"),
        ("exit 0", "Portage does not run in it: "),
    ],
)
def test_a_python_that_only_writes(root: User, tree: Path, code: str, said: str) -> None:
    python = tree / "usr/bin/python3"
    python.write_text(f"#!/bin/bash\n{code}\n")
    python.chmod(0o755)
    began = time.monotonic()
    done = root.run("--store", tree.parent / "store", "seed", "bootstrap", "odd", cwd=tree.parent)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr) < 2000
    assert time.monotonic() - began < 60  # what is tried has two minutes
