"""Two packages of which a machine has one are refused where both are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.values import write_files

from cloche.config.errors import ConfigError, Origin
from cloche.config.sets import Asked
from cloche.portage.virtuals import check_roles, providers

CRON = 'RDEPEND="|| ( sys-process/cronie # the default\n\t>=sys-process/fcron-3 )"\n'
LOGGER = """RDEPEND="
    systemd? ( >=sys-apps/systemd-38 )
    !systemd? ( || (
        app-admin/metalog
        app-admin/rsyslog
        sys-apps/busybox[syslog]
    ) )
"
"""
EDITOR = 'RDEPEND="|| ( app-editors/nano app-editors/vim )"\n'
FILES = {
    "virtual/cron/cron-0.ebuild": CRON,
    "virtual/logger/logger-0.ebuild": LOGGER,
    "virtual/editor/editor-0.ebuild": EDITOR,
}


def test_providers_are_the_names_of_any_of_groups() -> None:
    assert providers(CRON) == {"sys-process/cronie", "sys-process/fcron"}
    assert providers(LOGGER) == {"app-admin/metalog", "app-admin/rsyslog"}
    assert providers("# || ( a/b c/d )\nRDEPEND=a/b") == set()


def asked(*atoms: str) -> list[Asked]:
    return [Asked(atom, Origin(Path("web.toml"), line)) for line, atom in enumerate(atoms, 1)]


@pytest.mark.parametrize(
    ("first", "second", "role"),
    [
        ("sys-process/cronie", ">=sys-process/fcron-3.2:0", "cron"),
        ("app-admin/rsyslog", "app-admin/metalog", "logger"),
    ],
)
def test_two_providers_of_one_role_are_a_contradiction(
    tmp_path: Path, first: str, second: str, role: str
) -> None:
    write_files(tmp_path, FILES)
    with pytest.raises(ConfigError) as raised:
        check_roles(asked(first, "app-editors/vim", second), [tmp_path / "none", tmp_path])
    assert raised.value.where == "web.toml:3"
    assert f"is asked for here, and {first} in web.toml:1" in raised.value.what
    assert raised.value.todo == f"a machine has one virtual/{role}: remove one of the two"


def test_other_virtuals_may_have_several_providers(tmp_path: Path) -> None:
    write_files(tmp_path, FILES)
    atoms = ("app-editors/nano", "app-editors/vim", "sys-apps/busybox", "app-admin/rsyslog")
    check_roles(asked(*atoms, "sys-process/cronie", "@system"), [tmp_path])
