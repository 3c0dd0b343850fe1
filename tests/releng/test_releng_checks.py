"""Sources that do not fit a profile."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.catalyst.conf import Conf
from cloche.catalyst.spec import parse_spec
from cloche.config.errors import ConfigError
from cloche.portage.repository import Repository, read_repository
from cloche.releng.checks import check_source

TEXT = "target: stage3\nsource_subpath: x/stage3\nprofile: {profile}\n"
PROFILES = {
    "base": ("", 'ELIBC="glibc"\n'),
    "features/merged-usr": ("", ""),
    "amd64": ("../base\n../features/merged-usr\n", 'ARCH="amd64"\n'),
    "amd64/musl": ("..\n", "ELIBC='musl'\n"),
    "amd64/split-usr": ("../../base\n", 'ARCH="amd64"\n'),
    "arm64": ("../base\n", 'ARCH="arm64"\n'),
}


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    place = tmp_path / "tree"
    (place / "metadata").mkdir(parents=True)
    (place / "metadata/layout.conf").write_text("masters =\n")
    for path, (parents, defaults) in PROFILES.items():
        directory = place / "profiles" / path
        directory.mkdir(parents=True)
        (directory / "eapi").write_text("8\n")
        (directory / "parent").write_text(parents)
        (directory / "make.defaults").write_text(defaults)
    (place / "profiles/repo_name").write_text("gentoo\n")
    return read_repository("gentoo", place)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A root with glibc and a merged /usr."""
    root = tmp_path / "root"
    (root / "usr/lib64").mkdir(parents=True)
    (root / "usr/bin").mkdir()
    (root / "bin").symlink_to("usr/bin")
    (root / "usr/lib64/ld-linux-x86-64.so.2").touch()
    return root


def check(repo: Repository, profile: str, arch: str, root: Path) -> None:
    spec = parse_spec(TEXT.replace("{profile}", profile), Path("x.spec"))
    check_source(spec, Conf(), {"gentoo": repo}, arch, root)


def test_a_source_that_fits_is_taken(repo: Repository, source: Path) -> None:
    check(repo, "amd64", "amd64", source)


@pytest.mark.parametrize(
    ("profile", "what"),
    [
        ("arm64", "ARCH is arm64 in the profile, but amd64 in x/stage3"),
        ("amd64/musl", "ELIBC is musl in the profile, but glibc in"),
        ("amd64/split-usr", "/usr is split in the profile, but merged in"),
    ],
)
def test_one_that_does_not_fit_is_refused(
    repo: Repository, source: Path, profile: str, what: str
) -> None:
    with pytest.raises(ConfigError, match=what) as raised:
        check(repo, profile, "amd64", source)
    assert raised.value.where == "x.spec:3"


def test_a_split_source_does_not_fit_a_merged_profile(repo: Repository, source: Path) -> None:
    (source / "bin").unlink()
    (source / "bin").mkdir()
    check(repo, "amd64/split-usr", "amd64", source)
    with pytest.raises(ConfigError, match="/usr is merged in the profile, but split in"):
        check(repo, "amd64", "amd64", source)


def test_musl_fits_musl(repo: Repository, source: Path) -> None:
    (source / "usr/lib64/ld-linux-x86-64.so.2").unlink()
    (source / "lib").mkdir()
    (source / "lib/ld-musl-x86_64.so.1").touch()
    check(repo, "amd64/musl", "amd64", source)
