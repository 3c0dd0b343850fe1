"""Secrets' files are not among what is copied into roots, images, builds and repositories."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests import values
from tests.values import write_files

from cloche.config.errors import ConfigError
from cloche.config.project import load_project

SECRET = '[secrets."/etc/key"]\nfile = "{}"\n[output]\nstage4 = true\n'


def load(place: Path, lines: str) -> None:
    """Read the first machine of a project with these lines."""
    if not (place / "cloche.toml").exists():
        values.project(place)
        write_files(place, ["web/etc/key", "keys/key", "hook.sh", "portage/base/key", "patches/a"])
        (place / "linked").symlink_to("web/etc/key")
        (place / "web/etc/away").symlink_to("../../keys/key")
    file = place / "machines/first.toml"
    kept = file.with_suffix(".first")
    if not kept.exists():
        kept.write_text(file.read_text().partition("[output]")[0])
    file.write_text(kept.read_text() + lines)
    load_project(place).machine("first")


@pytest.mark.parametrize(
    ("file", "lines", "words"),
    [
        ("web/etc/key", 'files = ["web"]', "web, and that is copied because of machines/first"),
        ("linked", 'files = ["web"]', "web, and that is copied because of machines/first"),
        ("keys/key", '[[finish]]\nhook = "hook.sh"\ninputs = "keys"', "keys, and that is copied"),
        ("hook.sh", 'hooks = ["hook.sh"]', "which is copied because of machines/first"),
        ("patches/a", "", "/patches, and that is copied"),
        ("portage/base/key", "", "/portage/base, and that is copied"),
        ("repo/key", "", "/repo, and that is copied because of cloche.toml"),
    ],
)
def test_a_secret_that_would_be_copied_is_refused_with_both_places(
    file: str, lines: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "p", f"{lines}\n{SECRET.format(file)}")
    said = str(caught.value).replace(f"{tmp_path}/p/machines", "machines")
    said = said.replace(f"{tmp_path}/p/cloche.toml", "cloche.toml")
    assert words in said
    assert f"/etc/key is {tmp_path}/p/{file}, " in said
    line = (
        (tmp_path / "p/machines/first.toml").read_text().splitlines().index('[secrets."/etc/key"]')
    )
    assert str(caught.value.where) == f"{tmp_path}/p/machines/first.toml:{line + 1}"


@pytest.mark.parametrize("file", ["keys/key", "web/etc/away", "webs/key"])
def test_other_files_of_the_project_may_be_secrets(file: str, tmp_path: Path) -> None:
    load(tmp_path / "p", f'files = ["web"]\n{SECRET.format(file)}')


def test_a_key_of_modules_is_not_copied_either(tmp_path: Path) -> None:
    values.project(tmp_path / "p")
    write_files(tmp_path / "p", ["web/modules.key"])
    words = ["openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=t"]
    words += ["-keyout", "web/modules.key", "-out", "m.pem"]
    subprocess.run(words, check=True, capture_output=True, cwd=tmp_path / "p")
    lines = 'files = ["web"]\n[kernel]\nsources = "sys-kernel/gentoo-sources"\n'
    lines += 'signing = { file = "web/modules.key", certificate = "m.pem" }\n'
    with pytest.raises(ConfigError, match=r"key of modules is .*, which lies in .*/p/web"):
        load(tmp_path / "p", lines)
