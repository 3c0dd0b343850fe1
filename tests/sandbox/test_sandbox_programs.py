"""The check of a program before a sandbox executes it."""

import pytest

from cloche.sandbox import programs


def test_a_script_without_its_interpreter_names_it(tmp_path) -> None:
    script = tmp_path / "script"
    script.write_text(f"#!{tmp_path}/bash -e\n")
    with pytest.raises(FileNotFoundError) as raised:
        programs.check(str(script))
    assert raised.value.strerror == f"its interpreter {tmp_path}/bash does not exist"
    with pytest.raises(FileNotFoundError, match="none"):
        programs.check(str(tmp_path / "none"))
    (tmp_path / "bash").write_bytes(b"\x7fELF")
    programs.check(str(script))
