"""`cloche autogen run` over an overlay of thousands of packages, from an index on loopback.

The index is generated: projects with several releases, requirements of the usual forms, wheels'
metadata by themselves (PEP 658), and real sdists. It has the same content every time.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import Process
from pathlib import Path

from bench.place import BenchError, Place
from bench.table import Aim, Row

MINUTES, SECONDS, MIB = 10, 30, 1024  # the aims: first run, second run, memory
NEW = 20  # releases between the runs
ADDRESS = "127.0.0.1"
JSON = "application/vnd.pypi.simple.v1+json"
BACKENDS = (
    ("hatchling", "hatchling.build"),
    ("setuptools>=61", "setuptools.build_meta"),
    ("flit_core>=3.2", "flit_core.buildapi"),
    ("poetry-core", "poetry.core.masonry.api"),
)
FORMS = (
    "{}", "{}>=1.0", "{}>=1,<9", "{}~=1.0", "{}>=1.0,!=1.2.3", "{}[more]>=1",
    '{}; python_version < "3.13"', '{}>=1; sys_platform == "win32"', '{}; extra == "more"',
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Served:
    """The directory of an index: ``simple`` and ``files`` below it, and its address."""

    place: Path
    address: str

    def publish(self, number: int, releases: int) -> None:
        """Write the files of a project with so many releases, and its page."""
        dice = random.Random(number)
        name, listed = f"project{number}", []
        backend = dice.choice(BACKENDS)
        wanted = [dice.choice(FORMS).format(f"project{dice.randrange(number)}")
                  for _ in range(dice.randrange(9) if number else 0)]  # fmt: skip
        for minor in range(releases):
            stem = f"{name}-1.{minor}"
            described = _metadata(name, f"1.{minor}", wanted)
            for filename, data in (
                (f"{stem}.tar.gz", _sdist(stem, described, backend, dice)),
                (f"{stem}-py3-none-any.whl.metadata", described.encode()),
            ):
                (self.place / "files" / filename).write_bytes(data)
                digest = {"sha256": hashlib.sha256(data).hexdigest()}
                plain = filename.removesuffix(".metadata")
                entry = {"filename": plain, "url": f"{self.address}/files/{plain}", "size": 1 << 16,
                         "hashes": digest, "requires-python": ">=3.9"}  # fmt: skip
                if plain == filename:
                    entry["size"] = len(data)
                else:
                    entry["core-metadata"] = digest
                listed.append(entry)
        page = {"meta": {"api-version": "1.1"}, "name": name, "files": listed, "versions": []}
        (self.place / "simple" / name).write_text(json.dumps(page))


def _metadata(name: str, version: str, wanted: list[str]) -> str:
    lines = [f"Requires-Dist: {each}" for each in wanted]
    head = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nSummary: Does its work\n"
    rest = "License-Expression: MIT\nRequires-Python: >=3.9\nProvides-Extra: more\n"
    page = f"Project-URL: Source, https://github.com/larry/{name}\n"
    return head + rest + page + "".join(f"{each}\n" for each in lines)


def _sdist(stem: str, described: str, backend: tuple[str, str], dice: random.Random) -> bytes:
    requires, module = backend
    system = f'[build-system]\nrequires = ["{requires}"]\nbuild-backend = "{module}"\n'
    files = {
        "PKG-INFO": described,
        "pyproject.toml": system,
        **{f"src/module{n}.py": "x = 1\n" * dice.randrange(400) for n in range(12)},
        **({"tests/test_it.py": "def test_it(): pass\n"} if dice.random() < 0.6 else {}),
    }
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz", compresslevel=1) as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"{stem}/{name}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return made.getvalue()


def _serve(place: Path, server: ThreadingHTTPServer) -> None:
    """Answer with the files, and with 304 to who has them; in a process of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            try:
                data = (place / self.path.strip("/")).read_bytes()
            except OSError:
                self.send_error(404)
                return
            etag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
            same = self.headers.get("If-None-Match") == etag
            kind = JSON if self.path.startswith("/simple/") else "application/octet-stream"
            length = "" if same else f"Content-Type: {kind}\r\nContent-Length: {len(data)}\r\n"
            status = "304 Not Modified" if same else "200 OK"
            head = f"HTTP/1.1 {status}\r\nETag: {etag}\r\n{length}\r\n"
            self.wfile.write(head.encode() + (b"" if same else data))

        def log_message(self, *_: object) -> None:
            pass

    server.RequestHandlerClass = Handler
    server.serve_forever()


@contextlib.contextmanager
def served(place: Path, packages: int) -> Iterator[Served]:
    """An index with so many projects, each with one to four releases."""
    for name in ("simple", "files"):
        (place / name).mkdir(parents=True)
    with ThreadingHTTPServer((ADDRESS, 0), BaseHTTPRequestHandler) as server:
        server.daemon_threads = True
        index = Served(place, f"http://{ADDRESS}:{server.server_port}")
        for number in range(packages):
            index.publish(number, 1 + number % 4)
        process = Process(target=_serve, args=(place, server), daemon=True)
        process.start()
        try:
            yield index
        finally:
            process.terminate()
            process.join()


@dataclass(frozen=True, slots=True)
class Took:
    """What a run took: seconds of the clock and of processors, MiB; and its counts."""

    seconds: float
    processor: float
    memory: float
    counts: dict[str, int]


def run(room: Path, index: Served) -> Took:
    """Run over the list. Raises `BenchError`."""
    report = room / "report.json"
    words = (sys.executable, "-m", "cloche", "autogen", "run", str(room / "autogen.toml"),
             "--index-url", f"{index.address}/simple/", "--report", str(report),
             "--distdir", str(room / "dist"))  # fmt: skip
    environment = {**os.environ, "XDG_CACHE_HOME": str(room / "cache")}
    environment = {name: text for name, text in environment.items() if "proxy" not in name.lower()}
    began = time.monotonic()
    with (room / "log").open("w") as log:
        actions = [(os.POSIX_SPAWN_DUP2, log.fileno(), each) for each in (1, 2)]
        child = os.posix_spawn(words[0], words, environment, file_actions=actions)
        _, status, usage = os.wait4(child, 0)
    seconds = time.monotonic() - began
    if os.waitstatus_to_exitcode(status) != 0:
        raise BenchError((room / "log").read_text()[-2000:])
    counts = json.loads(report.read_text())["counts"]
    return Took(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, counts)


def prepare(room: Path, packages: int) -> None:
    """A repository, one with what the eclass brings, and the list."""
    for name in ("repo", "tools"):
        (room / name / "profiles").mkdir(parents=True)
        (room / name / "metadata").mkdir()
        (room / name / "profiles/repo_name").write_text(f"{name}\n")
        (room / name / "metadata/layout.conf").write_text("masters =\nthin-manifests = true\n")
    for name in ("hatchling", "setuptools", "flit-core", "poetry-core", "pytest"):
        package = room / "tools/dev-python" / name
        package.mkdir(parents=True)
        (package / f"{name}-99.ebuild").write_text("EAPI=8\n")
    cache = room / "tools/metadata/md5-cache/dev-python"
    cache.mkdir(parents=True)
    for number in range(packages):  # as Gentoo's repository has one of its thousands
        (cache / f"other{number}-1").write_text("EAPI=8\nIUSE=test\n")
    listed = "".join(
        f"[pypi.project{number}]\n{'deps = true' if number % 2 else ''}\n"
        for number in range(packages)
    )
    (room / "autogen.toml").write_text(f'repository = "repo"\nrepos = ["tools"]\n{listed}')


def measured(room: Path, packages: int) -> tuple[Took, Took, Took]:
    """The first run, one without news, and one after a few new releases."""
    prepare(room, packages)
    with served(room / "index", packages) as index:
        first = run(room, index)
        second = run(room, index)
        for number in range(0, packages, max(1, packages // NEW)):
            index.publish(number, 2 + number % 4)
        third = run(room, index)
    return first, second, third


def rows(place: Place, packages: int) -> list[Row]:
    """All rows."""
    first, second, third = measured(place.directory / "overlay", packages)
    if second.counts["unchanged"] != packages or third.counts["new"] != min(NEW, packages):
        raise BenchError(f"the runs did something else: {second.counts}, {third.counts}")
    what = f"of {packages} packages"
    return [
        Row(f"the first run {what}", first.seconds, "s", None, Aim(60 * MINUTES, "value")),
        Row("its processor time", first.processor, "s"),
        Row("its memory", first.memory, "MB", None, Aim(MIB, "value")),
        Row("a run that finds nothing new", second.seconds, "s", None, Aim(SECONDS, "value")),
        Row(f"one after {NEW} new releases", third.seconds, "s", None, Aim(SECONDS, "value")),
        Row("its memory", third.memory, "MB", None, Aim(MIB, "value")),
    ]
