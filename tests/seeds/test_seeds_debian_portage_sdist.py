"""Portage's release comes from where pip would get it, and only if it is the pinned file."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cloche.seeds.debian import portage_sdist
from cloche.seeds.debian.pip_config import PipSettings, read_settings
from cloche.seeds.debian.portage_sdist import SdistPin
from cloche.seeds.errors import SeedError

CONTENT = b"a release"
PIN = SdistPin("9.9.9", hashlib.sha256(CONTENT).hexdigest())


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Path:
    page = tmp_path / "site/simple/portage"
    page.mkdir(parents=True)
    (page / "index.html").write_text(
        '<!DOCTYPE html><html><body><a href="../../files/portage-1.0-py3-none-any.whl">x</a>'
        '<a href="../../files/portage-9.9.9.tar.gz#sha256=0000">portage-9.9.9.tar.gz</a>'
        "</body></html>"
    )
    (tmp_path / "site/files").mkdir()
    (tmp_path / "site/files/portage-9.9.9.tar.gz").write_bytes(CONTENT)
    return tmp_path / "site"


@pytest.fixture
def index(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/simple/"
        server.shutdown()
        thread.join()


def test_an_html_index_gives_the_file_and_the_cache_keeps_it(
    index: str, site: Path, tmp_path: Path
) -> None:
    settings = PipSettings((), (index,))
    path = portage_sdist.ensure(PIN, tmp_path / "cache", settings)
    assert path.read_bytes() == CONTENT
    assert portage_sdist.ensure(PIN, tmp_path / "cache", PipSettings((), ())) == path
    assert [entry.name for entry in path.parent.iterdir()] == [PIN.file]


def test_a_wrong_file_is_refused_and_not_kept(index: str, site: Path, tmp_path: Path) -> None:
    (site / "files/portage-9.9.9.tar.gz").write_bytes(b"something else")
    with pytest.raises(SeedError, match=f"pinned is {PIN.sha256}") as caught:
        portage_sdist.ensure(PIN, tmp_path / "cache", PipSettings((), (index,)))
    assert caught.value.where == index
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_spoilt_cache_is_noticed(tmp_path: Path) -> None:
    (tmp_path / PIN.file).write_bytes(b"spoilt")
    with pytest.raises(SeedError, match="not the release that was pinned"):
        portage_sdist.ensure(PIN, tmp_path, PipSettings((), ()))


def test_local_directories_come_before_indexes(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / PIN.file).write_bytes(CONTENT)
    settings = PipSettings((str(tmp_path / "wheels"),), ("http://127.0.0.1:1/simple/",))
    assert portage_sdist.ensure(PIN, tmp_path / "cache", settings).is_file()


def test_a_file_index_is_a_directory(tmp_path: Path) -> None:
    (tmp_path / "simple/portage").mkdir(parents=True)
    (tmp_path / "simple/portage" / PIN.file).write_bytes(CONTENT)
    settings = PipSettings((), (f"file://{tmp_path}/simple/",))
    assert portage_sdist.ensure(PIN, tmp_path / "cache", settings).is_file()


def test_every_place_is_listed_when_none_has_it_and_passwords_are_not(
    index: str, tmp_path: Path
) -> None:
    with_password = "http://me:secret@127.0.0.1:1/simple/"
    settings = PipSettings((str(tmp_path),), (index, with_password))
    with pytest.raises(SeedError, match="was not found") as caught:
        portage_sdist.ensure(SdistPin("8.0", "0" * 64), tmp_path / "cache", settings)
    detail = caught.value.detail or ""
    assert "does not list it" in detail
    assert "127.0.0.1:1/simple/: " in detail
    assert len(detail.splitlines()) == 3
    assert "secret" not in detail


def test_a_version_needs_a_digest() -> None:
    assert portage_sdist.pin("3.0.83") == portage_sdist.DEFAULT_PIN
    assert portage_sdist.pin("1.0", "a" * 64) == SdistPin("1.0", "a" * 64)
    for sha256 in (None, "abc"):
        with pytest.raises(SeedError, match="version and sha256 together"):
            portage_sdist.pin("1.0", sha256)


def test_pip_settings_join_files_and_environment(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("[global]\nindex-url = https://one.example/simple\ncert = /one.pem\n")
    two.write_text(
        "[global]\nindex_url = https://two.example/simple/\n"
        "extra-index-url =\n  https://a.example/simple\n  file:///srv/simple\n"
    )
    settings = read_settings({"PIP_FIND_LINKS": "/a /b"}, [one, two, tmp_path / "none"])
    assert settings == PipSettings(
        find_links=("/a", "/b"),
        indexes=(
            "https://two.example/simple/",
            "https://a.example/simple/",
            "file:///srv/simple/",
        ),
        cert="/one.pem",
    )


def test_no_index_means_none(tmp_path: Path) -> None:
    assert read_settings({"PIP_NO_INDEX": "1"}, []).indexes == ()


def test_a_missing_library_for_indexes_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gentoo does not have pypi-simple, so the ebuild does not require it."""
    monkeypatch.setitem(sys.modules, "pypi_simple", None)
    with pytest.raises(SeedError, match="pypi-simple") as caught:
        portage_sdist.ensure(PIN, tmp_path, PipSettings((), ("http://127.0.0.1:9/",)))
    assert caught.value.status == 3
    with pytest.raises(SeedError, match="pypi-simple"):
        read_settings({}, [])
    assert read_settings({"PIP_NO_INDEX": "1"}, []).indexes == ()
