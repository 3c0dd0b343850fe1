"""The state of ebuild repositories."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cloche.client.program.reading import SMALL_REPOSITORY, Memory, read_lines, run_quietly


def read_repositories(
    settings: Any, memory: Memory
) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """The state of each repository, and the digests to be remembered."""
    found, trees = {}, {}
    for repository in settings.repositories:
        if repository.location is None or not Path(repository.location).is_dir():
            continue
        place = Path(repository.location)
        state = synced_state(place)
        if not state and (listing := list_small(place)) is not None:
            stamp = hashlib.sha256(repr(listing).encode("utf-8", "surrogateescape")).hexdigest()
            paths = [path for path, *_ in listing]
            trees[stamp] = memory.trees.get(stamp) or digest_of_tree(place, paths)
            state = {"digest": trees[stamp]}
        found[str(repository.name)] = state
    return found, trees


def synced_state(place: Path) -> dict[str, str]:
    """What a sync left in a repository: a commit of git, or the time of an rsync."""
    if (place / ".git").exists() and (commit := git_commit(place)):
        return {"commit": commit}
    for line in read_lines(place / "Manifest"):
        if line.startswith("TIMESTAMP "):
            return {"timestamp": line.split(None, 1)[1]}
    if lines := read_lines(place / "metadata/timestamp.chk"):
        return {"timestamp": lines[0]}
    return {}


def git_commit(place: Path) -> str:
    """The commit of a work tree, read without git where its files can be understood."""
    directory = place / ".git"
    if directory.is_file():  # a linked work tree, or a submodule
        pointer = directory.read_text(encoding="utf-8").partition("gitdir:")[2].strip()
        directory = place / pointer
    common = directory
    if lines := read_lines(directory / "commondir"):
        common = directory / lines[0]
    head = "".join(read_lines(directory / "HEAD"))
    for _ in range(5):
        if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", head):
            return head
        name = head.partition("ref:")[2].strip()
        files = [each / name for each in (directory, common) if name]
        head = next((path.read_text("utf-8").strip() for path in files if path.is_file()), "")
        if not head:
            packed = (line.split() for line in read_lines(common / "packed-refs"))
            head = next((words[0] for words in packed if words[1:] == [name]), "")
    words = ["git", "-c", "safe.directory=*", "-C", str(place), "rev-parse", "HEAD"]
    return run_quietly(words).strip()


def list_small(place: Path) -> list[tuple[str, int, int]] | None:
    """Paths, sizes and times of a small repository's files, sorted; None if it is a large one."""
    found = []
    for directory, names, files in os.walk(place):
        here = os.path.relpath(directory, place)
        left_out = {"md5-cache"} if here == "metadata" else set()
        names[:] = [name for name in names if name[0] != "." and name not in left_out]
        for name in [each for each in files if each[0] != "."]:
            status = os.stat(os.path.join(directory, name), follow_symlinks=False)
            path = os.path.normpath(os.path.join(here, name))
            found.append((path, status.st_size, status.st_mtime_ns))
        if len(found) >= SMALL_REPOSITORY:
            return None
    return sorted(found)


def digest_of_tree(place: Path, paths: Iterable[str]) -> str:
    """The SHA-256 of what ``sha256sum`` prints for these files."""
    whole = hashlib.sha256()
    for path in paths:
        file = place / path
        if file.is_file():
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            whole.update(f"{content}  {path}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()
