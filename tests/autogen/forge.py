"""GitHub's API on loopback: repositories, releases and tags that tests make, and faults."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from click.testing import CliRunner, Result
from tests.autogen.published import Snapshots, on_loopback, tarball

from cloche.cli.main import cli

NAME = "larry/hello"
MESON = "project('hello', 'c', license : 'GPL-2.0-or-later')\n"


def git_archive(top: str, commit: str, files: Mapping[str, str]) -> bytes:
    """A tarball as git-archive(1) makes it, with the commit in a global header."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz", pax_headers={"comment": commit}) as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"{top}/{name}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return made.getvalue()


@dataclass
class Forge:
    """What is served. ``faults`` are answers by path that come instead, each once.

    A fault is a status with headers and a body, or "cut": half of the right answer.
    """

    address: str = ""
    name: str = NAME
    about: dict[str, Any] = field(default_factory=dict)
    releases: list[dict[str, Any]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, Any] = field(default_factory=dict)
    page_size: int = 100
    asked: list[tuple[str, int, dict[str, str]]] = field(default_factory=list)

    def tag(self, name: str, files: Mapping[str, str], top: str | None = None) -> None:
        """Make a tag, whose archive GitHub generates."""
        content = json.dumps([name, sorted(files.items())])
        commit = hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()
        self.tags[name] = commit
        stem = top or f"{self.name.partition('/')[2]}-{name.removeprefix('v')}"
        self.files[f"/{self.name}/archive/refs/tags/{name}.tar.gz"] = git_archive(
            stem, commit, files
        )

    def release(self, tag: str, files: Mapping[str, str] | None = None, **more: Any) -> None:
        """Make a release with its tag."""
        self.tag(tag, files or {"meson.build": MESON})
        page = f"{self.address}/{self.name}/releases/tag/{tag}"
        self.releases.insert(0, {
            "url": f"{self.address}/repos/{self.name}/releases/{len(self.releases) + 1}",
            "html_url": page, "id": len(self.releases) + 1, "tag_name": tag, "name": tag,
            "target_commitish": "main", "draft": False, "prerelease": False, "body": "News",
            "created_at": "2026-01-01T00:00:00Z", "published_at": "2026-01-01T00:00:00Z",
            "tarball_url": f"{self.address}/repos/{self.name}/tarball/{tag}", "assets": [], **more,
        })  # fmt: skip

    def asset(self, tag: str, name: str, data: bytes, **more: Any) -> None:
        """Add a file to a release."""
        path = f"/{self.name}/releases/download/{tag}/{name}"
        self.files[path] = data
        release = next(each for each in self.releases if each["tag_name"] == tag)
        release["assets"].append({
            "name": name, "state": "uploaded", "content_type": "application/octet-stream",
            "size": len(data), "digest": f"sha256:{hashlib.sha256(data).hexdigest()}",
            "browser_download_url": self.address + path, **more,
        })  # fmt: skip

    def paths(self) -> list[str]:
        """What was asked for."""
        return [path for path, _, _ in self.asked]

    def answer(self, path: str) -> Any:
        """The data of an answer; None if there is none."""
        if path == f"/repos/{self.name}":
            return self.about
        if path == f"/repos/{self.name}/releases":
            return self.releases
        if path == f"/repos/{self.name}/tags":
            return [{"name": name, "commit": {"sha": sha}} for name, sha in self.tags.items()]
        kind, _, tag = path.partition("/commits/tags/")
        if kind == f"/repos/{self.name}" and tag in self.tags:
            return {"sha": self.tags[tag], "commit": {"message": "Release"}}
        return None


@contextlib.contextmanager
def served_forge(name: str = NAME) -> Iterator[Forge]:
    forge = Forge(name=name)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            path = unquote(parts.path)
            if path in forge.faults or self.path in forge.faults:
                fault = forge.faults.pop(path, None) or forge.faults.pop(self.path)
                if fault != "cut":
                    self._answer(*fault)
                    return
                self._file_or_data(path, parse_qs(parts.query), cut=True)
                return
            self._file_or_data(path, parse_qs(parts.query), cut=False)

        def _file_or_data(self, path: str, query: dict[str, list[str]], *, cut: bool) -> None:
            if path in forge.files:
                body = forge.files[path]
                etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
                begin = self.headers.get("Range", "").removeprefix("bytes=").rstrip("-")
                if begin and self.headers.get("If-Range") == etag:
                    self._answer(206, {"ETag": etag}, body[int(begin) :])
                else:
                    self._answer(200, {"ETag": etag}, body, cut=cut)
                return
            data = forge.answer(path)
            if data is None:
                self._answer(404, {}, b'{"message":"Not Found","status":"404"}')
                return
            headers = {}
            if isinstance(data, list):
                page = int(query.get("page", ["1"])[0])
                more = data[page * forge.page_size :]
                data = data[(page - 1) * forge.page_size : page * forge.page_size]
                if more:
                    following = f"{forge.address}{path}?per_page=100&page={page + 1}"
                    headers["Link"] = f'<{following}>; rel="next", <{following}>; rel="last"'
            body = json.dumps(data).encode()
            etag = f'W/"{hashlib.sha256(body).hexdigest()}"'
            if self.headers.get("If-None-Match") == etag:
                self._answer(304, {"ETag": etag}, b"")
            else:
                self._answer(200, {"ETag": etag, **headers}, body, cut=cut)

        def _answer(
            self, status: int, headers: Mapping[str, str], body: bytes, *, cut: bool = False
        ) -> None:
            forge.asked.append((unquote(self.path), status, dict(self.headers)))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if cut else body)
            self.close_connection = cut

        def log_message(self, *_: object) -> None:
            pass

    with on_loopback(Handler) as forge.address:
        forge.about = {
            "id": 1, "name": name.partition("/")[2], "full_name": name, "private": False,
            "fork": False,
            "html_url": f"{forge.address}/{name}", "description": "Says hello.",
            "homepage": "https://hello.example.org/", "archived": False, "disabled": False,
            "license": {"key": "mit", "name": "MIT License", "spdx_id": "MIT", "url": None},
            "default_branch": "main",
        }  # fmt: skip
        yield forge


@dataclass
class Bench(Snapshots):
    """A forge, an empty repository, and the command line between them."""

    forge: Forge
    repository: Path
    room: Path

    def run(self, *words: str) -> Result:
        given = ("--into", str(self.repository), "--distdir", str(self.room / "dist"))
        command = ["autogen", "github", *(words or (NAME,)), *given]
        command += ["--api-url", self.forge.address]
        return CliRunner().invoke(cli, ["-C", str(self.room), *command])


def source(version: str, files: Mapping[str, str] | None = None) -> bytes:
    """A source archive as a project makes it itself."""
    return tarball(f"hello-{version}", files or {"meson.build": MESON})
