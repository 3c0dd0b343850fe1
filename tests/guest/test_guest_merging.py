"""The script behind the real emerge."""

from __future__ import annotations

import sys
from pathlib import Path

from cloche.guest.merging import script_of


def test_the_script_is_what_is_in_path_or_what_python_exec_starts(tmp_path: Path) -> None:
    program = tmp_path / "bin/emerge"
    program.parent.mkdir()
    assert script_of(str(program)) is None
    program.write_text("#!/bin/sh\n")
    assert script_of(str(program)) is None
    program.write_text("#!/usr/bin/env python\n")
    assert script_of(str(program)) == str(program)
    program.write_bytes(b"\x7fELF")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    script = tmp_path / "lib/python-exec" / version / "emerge"
    script.parent.mkdir(parents=True)
    script.write_text("#!/usr/bin/python3\n")
    found = script_of(str(program))
    assert found is not None
    assert Path(found).samefile(script)
