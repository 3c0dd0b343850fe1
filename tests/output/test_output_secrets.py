"""Secrets are looked for before any work."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from tests.values import project

from cloche.config.errors import ConfigError, Origin
from cloche.config.secrets import Secret
from cloche.errors import Exit
from cloche.output.sealed import Revealed
from cloche.output.secrets import check_secrets, is_sealed, reveal, seal, sweep
from cloche.output.stage4 import place

HERE = Origin(Path("web.toml"), 7)


@pytest.mark.parametrize(
    ("secret", "what", "status"),
    [
        (Secret(HERE, path="/etc/x", file=Path("/")), "/etc/x: / is a directory", Exit.BAD_INPUT),
        (Secret(HERE, path="/etc/x", file=Path("/none/x")), "/none/x is not there", Exit.BAD_INPUT),
        (Secret(HERE, user="larry", command=("no such",)), "there is no program", Exit.BAD_INPUT),
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


@pytest.mark.parametrize("said", ["", "\n"])
@pytest.mark.parametrize("what", [{"user": "larry"}, {"path": "/etc/x"}])
def test_an_empty_secret_is_an_error(tmp_path: Path, said: str, what: dict[str, str]) -> None:
    machine = project(tmp_path / "p").machine("first")
    secret = Secret(HERE, command=("printf", said), **what)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="gives nothing"):
        reveal(replace(machine, outputs=("stage4",), secrets=(secret,)))


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    for name in (".stage4.tar.zst.sealed", ".stage4.tar.77", "stage4.tar", ".other"):
        (tmp_path / name).write_text("secret")
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other", "stage4.tar"]


def test_a_tarball_with_secrets_is_known_by_its_mode(tmp_path: Path) -> None:
    plain, target = tmp_path / "plain.tar", tmp_path / "stage4.tar"
    with tarfile.open(plain, "w") as archive:
        archive.addfile(tarfile.TarInfo("./"))
    assert not is_sealed(target)
    place(plain, target)
    target.chmod(0o444)
    assert not is_sealed(target)
    seal(plain, target, "none", [Revealed(Secret(HERE, path="/key"), b"key")])
    assert is_sealed(target)
