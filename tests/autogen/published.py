"""An index of Python packages on loopback, with releases that tests make."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from cloche.cli.main import cli

BACKEND = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
OWN_BACKEND = '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n'
# A backend in the sdist: it packs NAME.py.
_OWN = """\
import pathlib, zipfile
NAME, VERSION = {name!r}, {version!r}
def build_wheel(directory, config_settings=None, metadata_directory=None):
    file = f"{{NAME}}-{{VERSION}}-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(directory, file), "w") as wheel:
        wheel.write(f"{{NAME}}.py")
        head = f"Metadata-Version: 2.1\\nName: {{NAME}}\\nVersion: {{VERSION}}\\n"
        wheel.writestr(f"{{NAME}}-{{VERSION}}.dist-info/METADATA", head)
    return file
"""


def files_of_own_backend(name: str, version: str) -> dict[str, str]:
    """The files that build a project of one module without any package."""
    return {"own.py": _OWN.format(name=name, version=version), "pyproject.toml": OWN_BACKEND}


def metadata(name: str, version: str, *lines: str) -> str:
    given = "".join(f"{line}\n" for line in lines)
    more = "" if "License" in given else "License-Expression: MIT\n"
    head = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nSummary: Says hello\n"
    return head + more + given


def tarball(top: str, files: Mapping[str, str], *extra: tarfile.TarInfo) -> bytes:
    """An sdist; ``extra`` are members without content."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"{top}/{name}" if top else name)
            info.size, info.mtime = len(text.encode()), 10**9
            archive.addfile(info, io.BytesIO(text.encode()))
        for info in extra:
            archive.addfile(info)
    return made.getvalue()


def wheel(name: str, version: str, described: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(f"{name}-{version}.dist-info/METADATA", described)
    return made.getvalue()


@dataclass
class Index:
    """What is served: pages by project, files by name."""

    address: str = ""
    pages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    raw: dict[str, bytes] = field(default_factory=dict)  # pages as they are
    asked: list[str] = field(default_factory=list)
    answers: list[tuple[str, int]] = field(default_factory=list)  # with their statuses
    kind: str = "application/vnd.pypi.simple.v1+json"  # of raw pages

    def add(self, project: str, filename: str, data: bytes, **more: Any) -> None:
        digest = hashlib.sha256(data).hexdigest()
        listed = {"filename": filename, "url": f"{self.address}/files/{filename}",
                  "hashes": {"sha256": digest}, "size": len(data), **more}  # fmt: skip
        self.pages.setdefault(project, []).append(listed)
        self.files[filename] = data

    def release(
        self,
        project: str,
        version: str,
        *lines: str,
        files: Mapping[str, str] | None = None,
        tag: str = "py3-none-any",
        **more: Any,
    ) -> None:
        """Add an sdist, and a wheel with its METADATA beside it (PEP 658)."""
        stem = project.replace("-", "_").replace(".", "_").lower()
        described = metadata(project, version, *lines)
        content = {"PKG-INFO": metadata(project, version), "pyproject.toml": BACKEND}
        sdist = tarball(f"{stem}-{version}", {**content, **(files or {})})
        name = project.lower().replace(".", "-").replace("_", "-")
        self.add(name, f"{stem}-{version}.tar.gz", sdist, **more)
        self.add(name, f"{stem}-{version}-{tag}.whl", wheel(stem, version, described),
                 **{"core-metadata": True, **more})  # fmt: skip
        self.files[f"{stem}-{version}-{tag}.whl.metadata"] = described.encode()


@contextlib.contextmanager
def on_loopback(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A server; its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextlib.contextmanager
def served() -> Iterator[Index]:
    index = Index()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.asked.append(self.path)
            kind, _, name = self.path.strip("/").partition("/")
            if kind == "simple" and name in index.raw:
                self._answer(index.raw[name], index.kind)
            elif kind == "simple" and name in index.pages:
                page = {"meta": {"api-version": "1.1"}, "name": name, "files": index.pages[name],
                        "versions": []}  # fmt: skip
                self._answer(json.dumps(page).encode(), "application/vnd.pypi.simple.v1+json")
            elif kind == "files" and name in index.files:
                self._answer(index.files[name], "application/octet-stream")
            else:
                self.send_error(404)

        def _answer(self, data: bytes, kind: str) -> None:
            etag = f'"{hashlib.sha256(data).hexdigest()}"'
            same = self.headers.get("If-None-Match") == etag
            index.answers.append((self.path, 304 if same else 200))
            self.send_response(304 if same else 200)
            self.send_header("ETag", etag)
            if same:
                self.end_headers()
                return
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with on_loopback(Handler) as index.address:
        yield index


class Snapshots:
    """Reads the repository that a test writes."""

    repository: Path

    def text(self, name: str) -> str:
        return (self.repository / name).read_text()

    def snapshot(self) -> dict[str, tuple[bytes, int]]:
        return {
            str(path.relative_to(self.repository)): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in self.repository.rglob("*")
            if path.is_file()
        }


@dataclass
class Desk(Snapshots):
    """An index, an empty repository, and the command line between them."""

    index: Index
    repository: Path
    room: Path

    def run(self, *words: str) -> Result:
        given = ("--into", str(self.repository), "--distdir", str(self.room / "dist"))
        address = ("--index-url", f"{self.index.address}/simple/")
        command = ["autogen", "pypi", *words, *given, *address]
        return CliRunner().invoke(cli, ["-C", str(self.room), *command])


def repository(place: Path, name: str = "mine", layout: str = "thin-manifests = true\n") -> Path:
    (place / "profiles").mkdir(parents=True)
    (place / "metadata").mkdir()
    (place / "profiles/repo_name").write_text(f"{name}\n")
    (place / "metadata/layout.conf").write_text(f"masters =\n{layout}")
    return place
