"""Where a spec that is built may write."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.catalyst.conf import read_conf
from cloche.catalyst.spec import parse_spec
from cloche.config.errors import ConfigError
from cloche.releng.build import check_places

SPEC = """\
target: stage3
subarch: amd64
version_stamp: x
rel_type: small
"""


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ("rel_type: ../..\n", "x.spec: "),
        ("version_stamp: /../../../../x\n", "x.spec: "),
        ("rename_regexp: s,.*,/etc/x,\n", "x.spec:5: "),
        ("rename_regexp: s,builds,../../x,\n", "x.spec:5: "),
    ],
)
def test_it_writes_nothing_outside_of_storedir(tmp_path: Path, more: str, where: str) -> None:
    file = tmp_path / "catalyst.conf"
    file.write_text(f'storedir = "{tmp_path}/store"\n')
    conf = read_conf([file])
    check_places(parse_spec(SPEC, Path("x.spec")), conf)
    check_places(parse_spec(f"{SPEC}rename_regexp: s/-x/-y/\n", Path("x.spec")), conf)
    with pytest.raises(ConfigError, match="which is not below") as raised:
        check_places(parse_spec(SPEC + more, Path("x.spec")), conf)
    assert str(raised.value).startswith(f"{where}writes ")
