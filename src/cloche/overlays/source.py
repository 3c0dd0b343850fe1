"""An overlay's git repository, cloned in part: a commit with its trees, and single files.

Without filters at the server (gitprotocol-v2(5)) a whole commit comes, and all else is the same.
Of the repository only data is read: nothing is checked out, no hook or filter runs.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cloche.config.errors import Origin
from cloche.config.sync import Sync
from cloche.fetching.download import shown
from cloche.overlays.errors import failed, not_taken
from cloche.trees.errors import TreeError
from cloche.trees.git import ENV, check_signed, command, settings
from cloche.trees.methods import SyncContext, SyncRequest
from cloche.trees.programs import output_of, watched

REGULAR, PROGRAM, LINK = "100644", "100755", "120000"
FILE_LIMIT = 8 << 20  # bytes of a file; those of Gentoo are below 1 MiB
TOTAL_LIMIT = 48 << 20  # bytes of all files that are read at once
_NAMES_LIMIT = 1 << 20
_TIP = "refs/cloche/tip"
_SETTINGS = "cloche.config"
_REMOTE = "origin"
_BATCH = 500  # objects that are asked for in one command line
_COMMIT = re.compile(r"[0-9a-f]{40}")
# Only what is asked for by name is fetched; git's own wish to know what the other side has would
# list commits that a partial clone lacks.
_FETCH = ("-c", "fetch.negotiationAlgorithm=noop", "fetch", "--progress", "--no-tags",
          "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-gc",
          "--filter=blob:none")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a commit: its mode as git has it, and the id of its content."""

    mode: str
    id: str


@dataclass(frozen=True, slots=True)
class Source:
    """The partial clone of an overlay in a cache."""

    overlay: str
    address: str
    branch: str
    context: SyncContext

    @property
    def bare(self) -> Path:
        """The clone."""
        digest = hashlib.sha256(f"{self.overlay}\0{self.address}".encode()).hexdigest()[:16]
        return self.context.cache / f"overlay-{self.overlay}-{digest}"

    def newest(self) -> str:
        """Fetch the tip of the branch without files; its commit. Raises OverlayError."""
        self._prepare()
        self.context.report(f"fetching {shown(self.address)} {self.branch}".rstrip())
        name = f"refs/heads/{self.branch}" if self.branch else "HEAD"
        self._fetch("--depth=1", "--force", "--", _REMOTE, f"{name}:{_TIP}")
        return self._git("rev-parse", "--verify", f"{_TIP}^{{commit}}").decode().strip()

    def ensure(self, commit: str) -> None:
        """See that a commit is there, with its trees. Raises OverlayError."""
        if not is_commit(commit):
            raise not_taken(self.overlay, f"{commit[:80]!a} is not the name of a commit")
        self._prepare()
        with suppress(TreeError):
            self._run("cat-file", "-e", f"{commit}^{{tree}}")
            return
        self.context.report(f"fetching the commit {commit[:12]} of {shown(self.address)}")
        self._fetch("--depth=1", "--force", "--", _REMOTE, f"{commit}:{_TIP}")

    def check_signature(self, commit: str, keyring: Path, room: Path) -> None:
        """Check that a commit is signed by a key of a keyring. Raises SignatureError."""
        self.context.report("checking the commit's signature")
        content = self._git("cat-file", "commit", commit)
        check_signed(content, f"commit {commit[:12]} of {self.overlay}", keyring, room)

    def listing(self, commit: str) -> Mapping[str, Entry]:
        """All files of a commit by path, submodules left out. Raises OverlayError."""
        found = {}
        for record in self._git("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0"):
            head, tab, name = record.partition(b"\t")
            mode, kind, id_ = head.decode().split() if tab else ("", "", "")
            if kind == "blob":
                found[os.fsdecode(name)] = Entry(mode, id_)
        if len(found) > _NAMES_LIMIT:
            raise not_taken(self.overlay, f"it has more than {_NAMES_LIMIT} files")
        if wrong := below_another(found):  # git makes no such tree, but hands it on
            raise not_taken(self.overlay, f"{wrong!a} is below a path that is no directory")
        return found

    def contents(self, wanted: Mapping[str, Entry], room: Path) -> Mapping[str, bytes]:
        """The contents of files, of which those that are not there yet are fetched.

        ``room`` is a directory for small files. Raises OverlayError.
        """
        ids = sorted({entry.id for entry in wanted.values()})
        if not ids:
            return {}
        lacking = self._lacking(ids)
        for start in range(0, len(lacking), _BATCH):
            self._fetch("--", _REMOTE, *lacking[start : start + _BATCH])
        asked = room / "objects"
        asked.write_text("".join(f"{id_}\n" for id_ in ids))
        sizes = self._git("cat-file", "--batch-check=%(objectsize)", stdin=asked).split()
        self._check_sizes(wanted, dict(zip(ids, map(int, sizes), strict=True)))
        texts = _batch(self._git("cat-file", "--batch", stdin=asked), ids)
        return {path: texts[entry.id] for path, entry in wanted.items()}

    def _check_sizes(self, wanted: Mapping[str, Entry], sizes: Mapping[str, int]) -> None:
        for path, entry in wanted.items():
            if sizes[entry.id] > FILE_LIMIT:
                raise not_taken(
                    self.overlay,
                    f"{path} is larger than {FILE_LIMIT >> 20} MiB",
                    "no ebuild needs such a file: tell the overlay's owner",
                )
        if sum(sizes.values()) > TOTAL_LIMIT:
            what = f"the files of these packages are more than {TOTAL_LIMIT >> 20} MiB"
            raise not_taken(self.overlay, what, "take fewer packages, or the whole overlay")

    def _lacking(self, ids: Sequence[str]) -> list[str]:
        """Those that are not in the clone. git must not fetch them one by one when it is asked."""
        words = ("rev-list", "--objects", "--no-object-names", "--missing=print", "--all")
        lines = self._git(*words).decode().split()
        missing = {line[1:] for line in lines if line.startswith("?")}
        there = {line for line in lines if not line.startswith("?")}
        return [id_ for id_ in ids if id_ in missing or id_ not in there]

    def _prepare(self) -> None:
        """Make the clone, if it is not there. Raises OverlayError."""
        self.context.cache.mkdir(exist_ok=True)
        self.bare.mkdir(exist_ok=True)
        os.utime(self.bare)  # it is in use
        address = settings(self.bare, self.address)
        # No other process works here: locks were left by a killed git.
        for stale in (*self.bare.glob("*.lock"), *self.bare.glob("refs/cloche/*.lock")):
            stale.unlink()
        self._git("init", "--bare", "--quiet", "--template=", str(self.bare))
        for key, value in {
            "url": address,
            "promisor": "true",
            "partialclonefilter": "blob:none",
        }.items():
            self._git("config", f"remote.{_REMOTE}.{key}", value)

    def _fetch(self, *words: str) -> None:
        begin = command(self.bare, *_FETCH)
        try:
            watched([*begin, *words], self._request, self.context, env=self._env)
        except TreeError as error:
            raise self._refused(error) from error

    def _git(self, *words: str, stdin: Path | None = None) -> bytes:
        try:
            return self._run(*words, stdin=stdin)
        except TreeError as error:
            raise self._refused(error) from error

    def _run(self, *words: str, stdin: Path | None = None) -> bytes:
        return output_of(command(self.bare, *words), self._request, env=self._env, stdin=stdin)

    def _refused(self, error: TreeError) -> Exception:
        todo = "check its address and branch, the network and permissions"
        found = failed(self.overlay, error.what, todo, error.detail)
        found.status = error.status
        return found

    @property
    def _env(self) -> Mapping[str, str]:
        return {**ENV, "GIT_CONFIG_GLOBAL": str(self.bare / _SETTINGS)}

    @property
    def _request(self) -> SyncRequest:
        return SyncRequest(self.overlay, Sync("git", self.address, self.branch), Origin(self.bare))


def _batch(data: bytes, ids: Iterable[str]) -> Mapping[str, bytes]:
    """Contents out of what ``git cat-file --batch`` writes (git-cat-file(1))."""
    found, place = {}, 0
    for id_ in ids:
        end = data.index(b"\n", place)
        size = int(data[place:end].split()[2])
        found[id_] = data[end + 1 : end + 1 + size]
        place = end + 1 + size + 1
    return found


def below_another(paths: Collection[str]) -> str | None:
    """A path that has another of these paths, which is no directory then, above it."""
    known = {*paths}
    for path in sorted(known):
        if any(str(above) in known for above in PurePosixPath(path).parents):
            return path
    return None


def object_id(content: bytes) -> str:
    """The id that git gives a content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def is_commit(text: str) -> bool:
    """Whether a text is the whole name of a commit."""
    return _COMMIT.fullmatch(text) is not None
