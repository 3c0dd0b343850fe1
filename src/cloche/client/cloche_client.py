#!/usr/bin/env python3
"""cloche-client: asks a cloche service for binary packages that fit this machine.

This file is all of it. It needs Portage and Python 3.9 or later. It can also be run from standard
input: ``ssh HOST python3 - describe < cloche_client.py``.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

Description = dict[str, Any]


class Problem(Exception):  # noqa: N818 - an answer for the user, not an error of the program
    """What is wrong, and what to do."""

    def __init__(self, what: str, todo: str = "", *, detail: str = "", status: int = 1) -> None:
        super().__init__(what)
        self.what, self.todo, self.detail, self.status = what, todo, detail, status


# --- What identifies this machine ---------------------------------------------------------------

FORMAT = 1
#: Files of an entry of the VDB that Portage's resolver reads.
ENTRY = (
    "BDEPEND", "BUILD_ID", "BUILD_TIME", "CHOST", "DEFINED_PHASES", "DEPEND", "EAPI", "IDEPEND",
    "IUSE", "KEYWORDS", "LICENSE", "PDEPEND", "PROPERTIES", "PROVIDES", "RDEPEND", "REQUIRES",
    "RESTRICT", "SLOT", "USE", "repository",
)  # fmt: skip
#: What builds read below /etc/portage. Nothing else of it leaves this machine.
SENT = re.compile(
    r"package\.[a-z._]+|use\.[a-z._]+|bashrc|categories|env|hooks|install-qa-check\.d"
    r"|license_groups|patches|profile|sets|sets\.conf"
)
#: What a repos.conf says about repositories; the rest is about syncing, and may hold passwords.
REPOS_CONF = ("aliases", "eclass-overrides", "force", "main-repo", "masters", "priority")
#: Variables that do not matter for what is built: how files are fetched, logged and stored here.
LEFT_OUT = re.compile(
    r"""
    __.*                                        # local to make.conf
    | .*(passw|passphrase|_pass\Z|_pw\Z|secret|token|credential|api_?key|gpg|ssh|proxy|mirror).*
    | .*_ur[il]
    | (fetchcommand|resumecommand|sync|rsync|portage_(binhost|elog|rsync|logdir)|port_log|aws_
      |distcc|ccache|sccache|buildcache|emerge_|ebuild_default|clean_delay).*
    | .*(dir|home|logs?|path|_file)
    | portdir_overlay | (e|sys|b)?root | eprefix | portage_(configroot|tmpfs|depcachedir)
    | (make|ninja)opts | portage_(niceness|ionice.*|scheduling.*|workdir_mode|inst_.id|username
      |grpname|archlist|repositories) | autoclean | nocolor | no_color
    """,
    re.IGNORECASE | re.VERBOSE,
)
WITH_PASSWORD = re.compile(r"://[^/\s]*@")
LONGEST_FILE = 1 << 20  # characters
SMALL_REPOSITORY = 2000  # files
_CPV = re.compile(r"[\w+][\w+.-]*/[\w+][\w+.-]*")
_VARIABLE = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True)
class Memory:
    """What is slow to read, by the times at which it was changed.

    ``packages`` and ``stamps`` are entries of the VDB and the times of their directories; ``trees``
    are digests of repositories by a digest of their files' names, sizes and times.
    """

    packages: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    stamps: Mapping[str, int] = field(default_factory=dict)
    trees: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Collected:
    """A description, what the user should know of it, and what need not be read next time."""

    description: Description
    notes: tuple[str, ...]
    memory: Memory


def encode(description: Description) -> bytes:
    """A description in the form of which its digest is."""
    text = json.dumps(description, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def digest(description: Description) -> str:
    """The name by which this machine and the service know a description."""
    return hashlib.sha256(encode(description)).hexdigest()


def change(old: Description, new: Description) -> dict[str, Any]:
    """How a description changed, as the service takes it; without "base" if it did not."""
    fields, entries, removed = {}, {}, {}
    for name, value in new.items():
        before = old.get(name)
        if value == before:
            continue
        if name not in ("files", "make_conf", "packages", "repositories"):
            fields[name] = value
            continue
        before = before or {}
        if added := {key: each for key, each in value.items() if before.get(key) != each}:
            entries[name] = added
        if gone := sorted(before.keys() - value.keys()):
            removed[name] = gone
    if not (fields or entries or removed):
        return {}
    return {"base": digest(old), "fields": fields, "entries": entries, "removed": removed}


def collect(memory: Memory, *, savedconfig: bool = False) -> Collected:
    """Read what identifies this machine. Raises Problem."""
    portage, settings = load_portage()
    etc = Path(settings["PORTAGE_CONFIGROOT"], "etc/portage")
    root = Path(settings["EROOT"])
    make_conf = read_make_conf(settings)
    files, notes = read_files(etc, savedconfig=savedconfig)
    if text := read_repos_conf(etc / "repos.conf"):
        files["repos.conf"] = text
    repositories, trees = read_repositories(settings, memory)
    packages, stamps = read_vdb(root / "var/db/pkg", memory)
    description = {
        "format": FORMAT,
        "portage": str(portage.VERSION),
        "arch": settings.get("ARCH", ""),
        "chost": settings.get("CHOST", ""),
        "profile": find_profile(etc, settings.repositories),
        "symbols": read_symbols(),
        "native": resolve_native(settings, make_conf, files),
        "repositories": repositories,
        "make_conf": make_conf,
        "files": files,
        "world": read_lines(root / "var/lib/portage/world"),
        "world_sets": read_lines(root / "var/lib/portage/world_sets"),
        "packages": packages,
    }
    return Collected(description, tuple(notes), Memory(packages, stamps, trees))


def load_portage() -> tuple[Any, Any]:
    """Portage and its configuration, without what the caller's environment adds."""
    try:
        import portage
    except ImportError:
        others = {path.parts[3] for path in Path("/usr/lib").glob("python3*/site-packages/portage")}
        raise Problem(
            f"{sys.executable or 'this Python'} does not have Portage",
            f"run cloche-client with {' or '.join(sorted(others))}"
            if others
            else "run cloche-client on a Gentoo system, with the Python that runs emerge",
            status=3,
        ) from None
    kept = ("PATH", "HOME", "ROOT", "EPREFIX", "PORTAGE_CONFIGROOT")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    return portage, portage.config(env=environment)


def read_make_conf(settings: Any) -> dict[str, str]:
    """The variables of make.conf with their values as Portage uses them."""
    from portage.util import getconfig

    names: set[str] = set()
    for name in ("etc/make.conf", "etc/portage/make.conf"):
        path = os.path.join(settings["PORTAGE_CONFIGROOT"], name)
        known = dict(settings.items())
        found = getconfig(path, tolerant=True, allow_sourcing=True, expand=known, recursive=True)
        names.update(found or ())
    values = settings.configdict["conf"]
    return {
        name: values[name]
        for name in sorted(names)
        if name in values and may_be_sent(name, values[name])
    }


def may_be_sent(name: str, value: str) -> bool:
    """Whether a variable is about builds, and holds no secret."""
    known = _VARIABLE.fullmatch(name) and "\0" not in value
    return bool(known) and not LEFT_OUT.fullmatch(name) and not WITH_PASSWORD.search(value)


def read_files(etc: Path, *, savedconfig: bool) -> tuple[dict[str, str], list[str]]:
    """The files below /etc/portage that builds read, and notes about those that are left out."""
    found, notes = {}, []
    for name in sorted(os.listdir(etc)) if etc.is_dir() else ():
        if not (SENT.fullmatch(name) or (savedconfig and name == "savedconfig")):
            continue
        for path in files_below(etc / name):
            text = read_text(path)
            if text is None:
                notes.append(f"{path} is left out: it is not UTF-8 text, or longer than 1 MiB")
            else:
                found[str(path.relative_to(etc))] = text
    return found, notes


def files_below(top: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """The files of a tree, links followed as Portage does, without hidden and backup files."""
    if top.name.startswith(".") or top.name.endswith("~"):
        return
    if top.is_file():
        yield top
    elif top.is_dir():
        real = top.resolve()
        if real not in above:  # a link to a directory above it
            for name in sorted(os.listdir(top)):
                yield from files_below(top / name, (*above, real))


def read_text(path: Path) -> str | None:
    """A file's text; None if it cannot be sent. Raises Problem if it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None
    except PermissionError:
        raise Problem(f"{path} cannot be read", "run cloche-client as root", status=3) from None
    return None if len(text) > LONGEST_FILE or "\0" in text else text


def read_repos_conf(place: Path) -> str:
    """What repos.conf says about repositories, without what is about syncing."""
    from portage.util.configparser import SafeConfigParser, read_configs

    files = list(files_below(place))
    if not files:
        return ""
    parser = SafeConfigParser()
    read_configs(parser, [str(path) for path in files])
    lines = []
    for section, options in parser.items():
        defaults = {} if section == parser.default_section else parser.defaults()
        own = {name: options[name] for name in REPOS_CONF if name in options}
        lines.append(f"[{section}]")
        lines += [f"{name} = {each}" for name, each in own.items() if defaults.get(name) != each]
        lines.append("")
    return "\n".join(lines)


def find_profile(etc: Path, repositories: Any) -> str:
    """The profile as REPOSITORY:PATH. Raises Problem."""
    places = (etc / "make.profile", etc.parent / "make.profile")
    link = next((place for place in places if place.exists()), None)
    if link is None:
        raise Problem("no profile is set", "eselect profile set", status=2)
    real = link.resolve()
    for repository in repositories:
        if repository.location is None:
            continue
        profiles = Path(repository.location, "profiles").resolve()
        if profiles in real.parents:
            return f"{repository.name}:{real.relative_to(profiles)}"
    parents = read_lines(real / "parent")
    if set(os.listdir(real)) <= {"parent", "eapi"} and len(parents) == 1 and ":" in parents[0]:
        name, path = parents[0].split(":", 1)
        return f"{name or repositories.mainRepo().name}:{path}"
    raise Problem(
        f"{link} is not a profile of a repository",
        "link it to one (eselect profile set), and move own settings to /etc/portage/profile",
        status=2,
    )


def read_lines(path: Path) -> list[str]:
    """The lines of a file without comments and empty ones; none if there is no file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    stripped = (line.strip() for line in lines)
    return [line for line in stripped if line and not line.startswith("#")]


# --- The state of repositories ------------------------------------------------------------------


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
    if lines := read_lines(place / "metadata/timestamp.chk"):
        return {"timestamp": lines[0]}
    for line in read_lines(place / "Manifest"):
        if line.startswith("TIMESTAMP "):
            return {"timestamp": line.split(None, 1)[1]}
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
        for name in files:
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


# --- Libraries, the CPU, installed packages -----------------------------------------------------


def read_symbols() -> dict[str, str]:
    """The newest versions of symbols that the C and C++ libraries have, by their prefix."""
    import ctypes

    for name in ("libc.so.6", "libstdc++.so.6"):
        with contextlib.suppress(OSError):
            ctypes.CDLL(name)  # the loader finds it where it finds it for programs
    mapped = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape")
    newest: dict[str, tuple[int, ...]] = {}
    for path in set(re.findall(r"/\S*/lib(?:c\.so\.6|c-2\.\d+\.so|stdc\+\+\.so\.6\S*)", mapped)):
        content = Path(path).read_bytes()
        for found in re.finditer(rb"\0(GLIBC|GLIBCXX|CXXABI)_(\d+(?:\.\d+)+)(?=\0)", content):
            prefix, version = (part.decode() for part in found.groups())
            order = tuple(map(int, version.split(".")))
            newest[prefix] = max(newest.get(prefix, ()), order)
    return {prefix: ".".join(map(str, order)) for prefix, order in sorted(newest.items())}


def resolve_native(settings: Any, make_conf: Mapping[str, str], files: Mapping[str, str]) -> str:
    """The flags that -march=native stands for here; empty if nothing uses it."""
    flags = [value for name, value in make_conf.items() if name.endswith("FLAGS")]
    flags += [text for name, text in files.items() if name.startswith(("env/", "bashrc"))]
    if not any("=native" in text for text in flags):
        return ""
    compiler = shlex.split(settings.get("CC", "")) or [f"{settings.get('CHOST', '')}-gcc"]
    for words in (compiler, ["gcc"]):
        told = run_quietly([*words, "-###", "-march=native", "-E", "-x", "c", "/dev/null"])
        if line := next((line for line in told.splitlines() if "/cc1 " in line), None):
            return machine_flags(shlex.split(line))
    return ""


def machine_flags(words: Sequence[str]) -> str:
    """The flags for a CPU in a command line of the compiler proper."""
    found = []
    for before, word in zip(("", *words), words):
        if word.startswith("-m"):
            found.append(word)
        elif before == "--param":
            found += ["--param", word]
    return " ".join(found)


def run_quietly(words: Sequence[str]) -> str:
    """What a program prints, without questions and without a failure: empty if it is not there."""
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", check=False, timeout=20,
            stdin=subprocess.DEVNULL, env=environment,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else done.stdout + done.stderr


def read_vdb(place: Path, memory: Memory) -> tuple[dict[str, Mapping[str, str]], dict[str, int]]:
    """The installed packages, and the times of those entries that may be remembered."""
    packages: dict[str, Mapping[str, str]] = {}
    stamps: dict[str, int] = {}
    settled = time.time_ns() - 2_000_000_000  # a later change could leave the same time
    for category in scan(place):
        for entry in scan(Path(category.path)):
            cpv = f"{category.name}/{entry.name}"
            if not _CPV.fullmatch(cpv):
                continue  # what Portage is merging just now
            stamp = entry.stat().st_mtime_ns
            if memory.stamps.get(cpv) == stamp and cpv in memory.packages:
                found = memory.packages[cpv]
            else:
                found = read_entry(entry.path)
            if found:
                packages[cpv] = found
                if stamp < settled:
                    stamps[cpv] = stamp
    return packages, stamps


def scan(place: Path) -> list[os.DirEntry[str]]:
    """The directories in a directory, sorted; none if it does not exist."""
    try:
        with os.scandir(place) as entries:
            return sorted((entry for entry in entries if entry.is_dir()), key=lambda e: e.name)
    except FileNotFoundError:
        return []


def read_entry(place: str) -> dict[str, str]:
    """The files of a package's entry; empty if the entry is not whole."""
    found = {}
    for name in ENTRY:
        with contextlib.suppress(FileNotFoundError), open(f"{place}/{name}", "rb") as file:
            found[name] = file.read().decode("utf-8", "replace").replace("\0", "")
    if not found.get("SLOT", "").strip():
        return {}
    if not found.get("EAPI", "").strip():
        found["EAPI"] = "0\n"  # PMS 7.3.1: what has none has this one
    return found


# --- Commands -----------------------------------------------------------------------------------


def describe(options: argparse.Namespace) -> int:
    """Print the description of this machine as JSON."""
    collected = collect(Memory(), savedconfig=options.savedconfig)
    warn(collected.notes)
    sys.stdout.buffer.write(encode(collected.description) + b"\n")
    sys.stdout.buffer.flush()
    return 0


def warn(notes: Iterable[str]) -> None:
    """Tell what the user should know."""
    for note in notes:
        print(f"cloche-client: {shown(note)}", file=sys.stderr)


def shown(text: str) -> str:
    """A text of others in one line, with control characters as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="cloche-client",
        description="Binary packages for this machine from a cloche service.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(
        name: str, run: Callable[[argparse.Namespace], int], text: str, *examples: str
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name, help=text[0].lower() + text[1:].rstrip("."), description=text,
            epilog="\n".join(["examples:", *(f"  {each}" for each in examples)]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        command.set_defaults(run=run)
        return command

    command = add(
        "describe", describe, "Print what identifies this machine, as JSON.",
        "cloche-client describe | python3 -m json.tool | less",
        "ssh HOST python3 - describe < cloche_client.py",
    )  # fmt: skip
    command.add_argument(
        "--savedconfig", action="store_true", help="also send /etc/portage/savedconfig"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status."""
    options = make_parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except Problem as problem:
        if problem.detail:
            print(problem.detail.rstrip(), file=sys.stderr)
        todo = f": {problem.todo}" if problem.todo else ""
        print(f"cloche-client: {shown(problem.what)}{shown(todo)}", file=sys.stderr)
        return problem.status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except OSError as error:
        print(f"cloche-client: {shown(str(error))}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
