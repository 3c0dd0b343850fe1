"""envscript: what it exports, and what only a shell can tell."""

from pathlib import Path

import pytest

from cloche.catalyst.envscript import read_envscript
from cloche.config.errors import ConfigError


def written(directory: Path, text: str) -> Path:
    file = directory / "catalystrc"
    file.write_text(text)
    return file


def test_what_is_exported_is_read(tmp_path: Path) -> None:
    text = (
        "#!/bin/bash\n\n# comment\nexport A=\"x y\" B='z' # more\nC=1; export C\nD=not-exported\n"
        'export E="one \\\ntwo"\nexport A=again\n'
    )
    assert read_envscript(written(tmp_path, text)) == {
        "A": "again", "B": "z", "C": "1", "E": "one two",
    }  # fmt: skip


def test_what_changes_no_result_is_left_out(tmp_path: Path) -> None:
    text = (
        'export MAKEOPTS="-j$(nproc)" http_proxy="http://proxy:3128"\n'
        'export FEATURES="nostrip"  # catalyst replaces it\nexport PATH="/x:$PATH"\n'
        "MAKEOPTS=-j1\nexport MAKEOPTS\n"
    )
    assert read_envscript(written(tmp_path, text)) == {}


@pytest.mark.parametrize(
    "text",
    [
        "if true; then export A=1; fi\n",
        "source /etc/profile\n",
        "export A=1 &\n",
        'export A="$(date)"\n',
        "export A=`date`\n",
        "export A=~/x\n",
        "export {A,B}=1\n",
        "cat <<< 'it is'\n",
        'export B="open\nand so on\n',
    ],
)
def test_what_only_a_shell_can_tell_is_left_to_it(tmp_path: Path, text: str) -> None:
    assert read_envscript(written(tmp_path, text)) is None


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("\nexport A='a\"b'\n", 2, "cannot be a part of make.conf"),
        ("export EMERGE_DEFAULT_OPTS=-v\n", 1, "EMERGE_DEFAULT_OPTS has no effect here"),
        ("export ROOT=/x\n", 1, "ROOT has no effect here"),
        ("export clst_jobs=7\n", 1, "clst_jobs has no effect here"),
    ],
)
def test_what_has_no_effect_is_refused(tmp_path: Path, text: str, line: int, what: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(ConfigError, match=what) as raised:
        read_envscript(file)
    assert raised.value.where == f"{file}:{line}"
