"""The host's apt configuration decides where Debian comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.seeds.debian import apt
from cloche.seeds.errors import SeedError

DEB822 = """\
# a comment
Types: deb deb-src
URIs: https://mirror.example/debian https://second.example/debian
Suites: bookworm bookworm-updates
Components: main
 contrib
Signed-By: {key}

Types: deb
URIs: https://mirror.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: https://off.example/debian
Suites: trixie
Components: main
"""


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "archive.gpg"
    file.write_bytes(b"key")
    return file


def test_a_deb822_source_names_mirror_and_key(etc: Path, key: Path) -> None:
    (etc / "sources.list.d/debian.sources").write_text(DEB822.format(key=key))
    found = apt.find_mirror("bookworm", etc=etc)
    assert found == apt.Mirror("https://mirror.example/debian", key)


def test_continuation_lines_and_disabled_stanzas_are_understood(key: Path) -> None:
    found = apt.parse_deb822(DEB822.format(key=key), Path("x"))
    assert [source.suites for source in found] == [
        ("bookworm", "bookworm-updates"),
        ("bookworm-security",),
    ]
    assert found[0].components == ("main", "contrib")


def test_one_line_sources_with_options(etc: Path, key: Path) -> None:
    (etc / "sources.list").write_text(
        "# deb http://off.example/debian bookworm main\n"
        f"deb [arch=amd64 signed-by={key}] http://mirror.example/debian bookworm main # ours\n"
    )
    assert apt.find_mirror("bookworm", etc=etc).uri == "http://mirror.example/debian"


def test_a_source_for_the_suite_wins_over_an_earlier_one_for_another(etc: Path, key: Path) -> None:
    (etc / "sources.list").write_text(
        "deb http://first.example/debian trixie main\n"
        "deb http://second.example/debian bookworm main\n"
    )
    assert apt.find_mirror("bookworm", keyring=key, etc=etc).uri.startswith("http://second.")


def test_a_mirror_of_another_debian_suite_will_do(etc: Path, key: Path) -> None:
    (etc / "sources.list").write_text("deb http://mirror.example/debian trixie main\n")
    found = apt.find_mirror("bookworm", keyring=key, etc=etc)
    assert found.uri == "http://mirror.example/debian"


@pytest.mark.parametrize(
    "line",
    [
        "deb http://tools.example/apt stable-tools main",
        "deb http://security.example/debian-security bookworm-security main",
        "deb http://mirror.example/debian bookworm contrib",
        "deb-src http://mirror.example/debian bookworm main",
        "deb cdrom:[Debian]/ bookworm main",
    ],
)
def test_what_is_no_archive_of_the_suite_is_not_taken(etc: Path, key: Path, line: str) -> None:
    (etc / "sources.list").write_text(line + "\n")
    with pytest.raises(SeedError, match="no Debian mirror found") as caught:
        apt.find_mirror("bookworm", keyring=key, etc=etc)
    assert "--mirror" in str(caught.value)


def test_a_given_mirror_asks_nobody(etc: Path, key: Path) -> None:
    (etc / "sources.list").write_text("nonsense\n")
    found = apt.find_mirror("sid", mirror="http://mine.example/d", keyring=key, etc=etc)
    assert found == apt.Mirror("http://mine.example/d", key)


def test_a_malformed_line_is_named(etc: Path) -> None:
    (etc / "sources.list").write_text("\ndeb http://mirror.example/debian\n")
    with pytest.raises(SeedError, match="not an apt source") as caught:
        apt.find_mirror("bookworm", etc=etc)
    assert caught.value.where == f"{etc}/sources.list:2"


def test_a_stanza_without_uris_is_named() -> None:
    with pytest.raises(SeedError, match="no Uris"):
        apt.parse_deb822("\nTypes: deb\nSuites: sid\n", Path("x"))


def test_a_missing_keyring_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(SeedError, match="apt install debian-archive-keyring"):
        apt.find_keyring(None, (tmp_path / "none",))
    with pytest.raises(SeedError, match="cannot be read"):
        apt.find_keyring(tmp_path / "none")


def test_proxies_and_dates_are_passed_on_and_nothing_else() -> None:
    dump = (
        'APT::Architecture "amd64";\n'
        'Acquire::http::Proxy "http://proxy.example:3128";\n'
        'Acquire::https "";\n'
        'Acquire::Check-Valid-Until "false";\n'
        'Acquire::GzipIndexes "true";\n'
        'DPkg::Post-Invoke:: "rm -f /x";\n'
    )
    assert list(apt.passed_on(dump)) == [
        'Acquire::http::Proxy "http://proxy.example:3128";',
        'Acquire::Check-Valid-Until "false";',
    ]


def test_portage_learns_of_the_mirror_in_its_own_format() -> None:
    assert apt.portage_mirrors("http://m.example/debian/") == "debian http://m.example/debian\n"
