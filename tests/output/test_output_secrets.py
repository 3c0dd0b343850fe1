"""Secrets are looked for before any work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.values import project

from cloche.config.errors import ConfigError, Origin
from cloche.config.secrets import Secret
from cloche.errors import Exit
from cloche.output.secrets import check_secrets

HERE = Origin(Path("web.toml"), 7)


@pytest.mark.parametrize(
    ("secret", "what", "status"),
    [
        (Secret(HERE, path="/etc/x", file=Path("/")), "/etc/x: / is a directory", Exit.BAD_INPUT),
        (Secret(HERE, path="/etc/x", file=Path("/none/x")), "/none/x is not there", Exit.HOST),
        (Secret(HERE, user="larry", command=("no such",)), "there is no program", Exit.HOST),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, secret: Secret, what: str, status: Exit
) -> None:
    machine = project(tmp_path / "p").machine("first")
    machine = replace(machine, outputs=("stage4",), secrets=(secret,))
    with pytest.raises(ConfigError, match=what) as raised:
        check_secrets(machine)
    assert (raised.value.where, raised.value.status) == (str(HERE), status)


def test_secrets_without_a_tarball_are_refused(tmp_path: Path) -> None:
    machine = project(tmp_path / "p").machine("first")
    secret = Secret(HERE, path="/etc/x", file=Path("/none"))
    with pytest.raises(ConfigError, match="secrets go into the tarball"):
        check_secrets(replace(machine, outputs=(), secrets=(secret,)))
