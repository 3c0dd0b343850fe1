#!/usr/bin/env python3
"""cloche-client: asks a cloche service for binary packages that fit this machine.

This file is all of it. It needs Portage and Python 3.9 or later. It can also be run from standard
input: ``ssh HOST python3 - describe < cloche_client.py``.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import functools
import getpass
import gzip
import hashlib
import http.client
import io
import json
import os
import queue
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Callable
from urllib.parse import quote

PROGRAM = "cloche-client"
Description = dict[str, Any]


class Problem(Exception):  # noqa: N818 - an answer for the user, not an error of the program
    """What is wrong, and what to do."""

    def __init__(self, what: str, todo: str = "", *, detail: str = "", status: int = 1) -> None:
        super().__init__(what)
        self.what, self.todo, self.detail, self.status = what, todo, detail, status


# --- What identifies this machine ---------------------------------------------------------------

FORMAT = 1
LEVELS = ("1", "2", "3a", "3b", "4")  # docs/targets.md of cloche
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


@functools.lru_cache(maxsize=1)
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
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    config_root, root = os.environ.get("PORTAGE_CONFIGROOT"), os.environ.get("ROOT")
    try:
        settings = portage.config(config_root=config_root, target_root=root, env=environment)
    except portage.exception.PortageException as error:
        raise Problem(f"Portage cannot read its configuration: {error}", status=2) from None
    return portage, settings


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
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
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


# --- Libraries, the CPU, installed packages -----------------------------------------------------


SYMBOL = re.compile(rb"(GLIBC|GLIBCXX|CXXABI)_(\d+(?:\.\d+)+)\0")


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
        for begin in (b"\0GLIBC", b"\0CXXABI_"):  # much faster to find than the expression
            place = content.find(begin)
            while place >= 0:
                if found := SYMBOL.match(content, place + 1):
                    prefix, version = (part.decode() for part in found.groups())
                    order = tuple(map(int, version.split(".")))
                    newest[prefix] = max(newest.get(prefix, ()), order)
                place = content.find(begin, place + 1)
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
            found.append(f"--param={word}")
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
            try:
                stamp = entry.stat().st_mtime_ns
            except FileNotFoundError:
                continue  # just unmerged
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


# --- What is kept of an enrolment ---------------------------------------------------------------

CONFIG = Path("/etc/cloche-client.json")
CERTIFICATE = Path("/etc/cloche-client.pem")
FETCH = Path("/etc/cloche-client.sh")
WGETRC = Path("/etc/cloche-client.wgetrc")
STATE = Path("/var/cache/cloche-client/state.json")


@dataclass(frozen=True)
class Enrolment:
    """What this machine is for the service. ``ca`` is a file with certificates, or empty.

    ``public_key`` is the key that the service signs with; empty if it does not sign. With
    ``former_keys`` it did so before: they are in Portage's keyring, too.
    """

    server: str
    target: str
    token: str
    name: str
    level: str = ""
    ca: str = ""
    public_key: str = ""
    savedconfig: bool = False
    former_keys: Sequence[str] = ()


@dataclass(frozen=True)
class State:
    """The description that the service has, and what need not be read again."""

    description: Description = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)


def load_enrolment(path: Path) -> Enrolment | None:
    """The enrolment; None if there is none. Raises Problem."""
    try:
        return Enrolment(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except PermissionError:
        raise Problem(f"{path} cannot be read", "run cloche-client as root", status=3) from None
    except (ValueError, TypeError):
        raise Problem(f"{path} is damaged", f"remove it, then: {PROGRAM} enrol", status=2) from None


def load_state(path: Path, enrolment: Enrolment) -> State:
    """What is remembered for an enrolment: nothing, if that is another one's, or damaged."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["target"] == enrolment.target:
            description = found["description"]
            memory = Memory(description["packages"], found["stamps"], found["trees"])
            return State(description, memory)
    return State()


def save_state(path: Path, enrolment: Enrolment, description: Description, memory: Memory) -> None:
    """Remember what the service has acknowledged."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    data = {
        "target": enrolment.target,
        "description": description,
        "stamps": memory.stamps,
        "trees": memory.trees,
    }
    write_file(path, json.dumps(data, separators=(",", ":")), 0o600, durable=False)


def write_file(path: Path, text: str, mode: int, group: int = -1, *, durable: bool = True) -> None:
    """Replace a file as a whole; nobody can read it before it has its mode.

    What can be made again need not be ``durable``: to wait for the disk takes time.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}~")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            if group >= 0:
                os.fchown(file.fileno(), -1, group)
            os.fchmod(file.fileno(), mode)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink()
        raise


# --- Portage's side: binrepos.conf and the keyring ----------------------------------------------

SECTION = "cloche"


def binrepos_section(enrolment: Enrolment, priority: int) -> str:
    """The entry of binrepos.conf for a target, see portage(5)."""
    lines = [
        f"[{SECTION}]",
        "# Written by cloche-client.",
        f"sync-uri = {binhost(enrolment).replace('%', '%%')}",  # configparser's own sign
        f"priority = {priority}",
        f"verify-signature = {'true' if enrolment.public_key else 'false'}",
        f'fetchcommand = sh {FETCH} "${{URI}}" "${{DISTDIR}}/${{FILE}}"',
        f'resumecommand = sh {FETCH} "${{URI}}" "${{DISTDIR}}/${{FILE}}" -c',
    ]
    return "\n".join(lines) + "\n"


def binhost(enrolment: Enrolment) -> str:
    """The address of a target's index."""
    return f"{enrolment.server}/t/{quote(enrolment.target, safe='')}"


def fetch_script(enrolment: Enrolment, root: Path) -> str:
    """The script with which emerge fetches, so that no command line has the token.

    Portage 3.0.83 ends with a traceback where a fetchcommand gives it no index.
    """
    parts = urllib.parse.urlsplit(binhost(enrolment))
    cache = root / "var/cache/edb/binhost" / str(parts.hostname) / parts.path.lstrip("/")
    return f"""#!/bin/sh
# Written by cloche-client: emerge fetches with it (binrepos.conf). The token is in
# {WGETRC}. Arguments: address, file, and -c to resume.
uri=$1 file=$2
shift 2
case $uri in
*/Packages | */Packages.gz) ;;
*) exec wget --config={WGETRC} "$@" -O "$file" "$uri" ;;
esac
told=$(wget --config={WGETRC} -nv -O "$file" "$uri" 2>&1)
case $?$uri in
0*) exit ;;
8*.gz) exit 1 ;; # the service answers, without it: emerge asks for the other one
esac
printf '%s\\n' "$told" "cloche-client: no index from the service; the last one is used" >&2
{{
    cat {shlex.quote(str(cache / "Packages"))} 2>/dev/null ||
        printf 'PACKAGES: 0\\nTIMESTAMP: 1\\nVERSION: 0\\n\\n'
}} | case $uri in *.gz) gzip ;; *) cat ;; esac >"$file"
"""


def wgetrc(enrolment: Enrolment) -> str:
    """The settings of wget for the script, see wget(1)."""
    lines = [
        "# Written by cloche-client. It has the token of this machine: keep it private.",
        f"header = Authorization: Bearer {enrolment.token}",
        "max_redirect = 0",  # it would take the header along
        "tries = 3",
        "dns_timeout = 5",
        "connect_timeout = 5",
        "read_timeout = 60",
    ]
    lines += [f"ca_certificate = {enrolment.ca}"] if enrolment.ca else []
    return "\n".join(lines) + "\n"


_OURS = re.compile(rf"^\[{SECTION}\]\n(?:[^\[\n].*\n?)*", re.MULTILINE)


def with_section(text: str, section: str) -> str:
    """A binrepos.conf with our entry; the others stay as they are."""
    if _OURS.search(text):
        return _OURS.sub(lambda found: section, text, count=1)
    others = text.rstrip("\n")
    return f"{others}\n\n{section}" if others else section


def without_section(text: str) -> str:
    """A binrepos.conf without our entry."""
    return _OURS.sub("", text).strip("\n")


def binrepos_file(etc: Path) -> Path:
    """Where our entry goes: a file of its own, unless binrepos.conf is a single file."""
    place = etc / "binrepos.conf"
    return place if place.is_file() else place / f"{SECTION}.conf"


def write_binrepos(path: Path, enrolment: Enrolment, priority: int, root: Path) -> None:
    """Write our entry, and what it uses; Portage's group may read the token."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    after = with_section(before, binrepos_section(enrolment, priority))
    write_file(WGETRC, wgetrc(enrolment), 0o640, group_of("portage"))
    write_file(FETCH, fetch_script(enrolment, root), 0o755)
    write_file(path, after, 0o644)


def remove_binrepos(path: Path) -> None:
    """Remove our entry, and its file if nothing else is in it."""
    if path.is_file():
        left = without_section(path.read_text(encoding="utf-8"))
        if left:
            write_file(path, left + "\n", path.stat().st_mode & 0o777, path.stat().st_gid)
        else:
            path.unlink()


def group_of(name: str) -> int:
    """The id of a group; -1 if there is none."""
    import grp

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return -1


def trust(key: str, home: Path) -> None:
    """Put a key into the keyring with which Portage verifies, as one to be trusted.

    Portage demands that a signature is valid and its key trusted, and runs gpg as an unprivileged
    user (BINPKG_GPG_VERIFY_*, GPG_VERIFY_USER_DROP), who has to be able to read the keyring.
    """
    home.mkdir(mode=0o755, parents=True, exist_ok=True)
    home.chmod(0o755)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--no-tty", "--no-permission-warning"]
    shows = run_gpg([*gpg, "--with-colons", "--import-options", "show-only", "--import"], key)
    fingerprints = primary_fingerprints(shows)
    if not fingerprints:
        raise Problem("the service's public key is not an OpenPGP key")
    run_gpg([*gpg, "--no-autostart", "--import"], key)
    run_gpg([*gpg, "--import-ownertrust"], "".join(f"{each}:6:\n" for each in fingerprints))
    run_gpg([*gpg, "--check-trustdb"])
    for name in ("pubring.kbx", "pubring.gpg", "trustdb.gpg"):
        if (home / name).exists():
            (home / name).chmod(0o644)


def distrust(key: str, home: Path, *, but: str = "") -> None:
    """Remove a key from the keyring with which Portage verifies, unless it is ``but``, too.

    Raises Problem.
    """
    gpg = ["gpg", "--homedir", str(home), "--batch", "--no-tty", "--no-permission-warning"]
    show = [*gpg, "--with-colons", "--import-options", "show-only", "--import"]
    kept = primary_fingerprints(run_gpg(show, but)) if but else []
    for fingerprint in primary_fingerprints(run_gpg(show, key)):
        if fingerprint in kept:
            continue
        with contextlib.suppress(Problem):  # somebody removed it before
            run_gpg([*gpg, "--yes", "--delete-keys", fingerprint])


def primary_fingerprints(colons: str) -> list[str]:
    """The fingerprints of primary keys in what ``gpg --with-colons`` prints."""
    found, primary = [], False
    for line in colons.splitlines():
        kind, *values = line.split(":")
        if kind == "fpr" and primary:
            found.append(values[8])
        primary = kind == "pub" or (primary and kind != "fpr")
    return found


def run_gpg(words: Sequence[str], text: str = "") -> str:
    """Run gpg. Raises Problem."""
    try:
        done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        what = "the service signs its packages, and gpg is not installed"
        raise Problem(what, "emerge app-crypt/gnupg", status=3) from None
    if done.returncode:
        raise Problem(f"gpg failed: {' '.join(words[-2:])}", detail=done.stderr)
    return done.stdout


# --- Talking to the service ---------------------------------------------------------------------

TIMEOUT = 60.0  # seconds without a byte
URL = re.compile(r"[!-~]+")
WORD = re.compile(r"[\w.~+=-]{1,200}", re.ASCII)  # an id or a token: they get into files
GONE = (401, 403, 404, 410)  # statuses by which the service no longer knows this machine
AWAY = (502, 503, 504)  # statuses of a service that may be back soon
LONGEST_PAUSE = 60.0  # seconds that it may ask for
PATIENCE = 40  # failures in a row, about ten minutes
WAITS = (1, 2, 4, 8, 15)  # seconds before each repetition
LARGEST_ANSWER = 64 << 20
LARGEST_MESSAGE = 16 << 20
LARGEST_PROBLEM = 1 << 20
LENGTH = re.compile(r"[0-9]{1,18}")


class Refusal(Problem):
    """The service's own answer, with its HTTP status.

    ``later`` are the seconds after which it may be asked again; None: this is final.
    """

    def __init__(self, code: int, what: str, todo: str, detail: str, later: float | None) -> None:
        super().__init__(what, todo, detail=detail, status=2 if code in (400, 404, 413, 422) else 1)
        self.code, self.later = code, later


class Unreachable(Problem):
    """The service does not answer; it may do so later."""


@dataclass(frozen=True)
class Service:
    """The service, and the token for it: if it is that of a ``target``, this machine's own."""

    server: str
    token: str = ""
    ca: str = ""
    target: str = ""

    def open(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Send a request; return the response, a file. Raises Refusal, Unreachable, Problem."""
        request = urllib.request.Request(self.server + path, method=method)  # noqa: S310 - see server_url
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        if self.token:
            # a redirection to another host must not take it along
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        if body:
            request.data = body
        try:
            return self._opener().open(request, timeout=TIMEOUT)
        except urllib.error.HTTPError as error:
            body = b""
            with contextlib.suppress(OSError, http.client.HTTPException), error:
                body = error.read(LARGEST_PROBLEM)
            refused = refusal(error.code, error.headers, body)
            if error.code == 401 and self.target:
                refused.todo = renewal(self.server, self.target)
            raise refused from None
        except ssl.SSLCertVerificationError as error:
            raise untrusted(self.server, error) from None
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                raise untrusted(self.server, error.reason) from None
            raise unreachable(self.server, error.reason) from None
        except (OSError, http.client.HTTPException) as error:
            raise unreachable(self.server, error) from None

    def call(
        self, method: str, path: str, data: Any = None, *, repeat: bool = True
    ) -> dict[str, Any]:
        """Send and receive JSON; again, if the service is away for a moment. Raises Problem."""
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        body = b""
        if data is not None:
            body = gzip.compress(encode(data), 6)
            headers.update({"Content-Type": "application/json", "Content-Encoding": "gzip"})
        for wait in (*WAITS, None):
            try:
                with self.open(method, path, body, headers) as response:
                    return decoded(response)
            except (OSError, http.client.HTTPException) as error:
                problem: Problem = unreachable(self.server, error)
            except Unreachable as error:
                problem = error
            except Refusal as error:
                if error.later is None:
                    raise
                problem = error
            if wait is None or not repeat:
                raise problem
            if isinstance(problem, Unreachable) and wait == WAITS[0]:
                warn([f"{problem.what}; trying again for {sum(WAITS)} s"])
            time.sleep(max(wait, getattr(problem, "later", 0)))
        raise AssertionError

    def _opener(self) -> urllib.request.OpenerDirector:
        if not self.server.startswith("https:"):
            return urllib.request.build_opener()  # to read the authorities takes 40 ms
        return urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=tls_context(self.ca))
        )


def tls_context(ca: str) -> ssl.SSLContext:
    """Verifies the service's certificate: by the system's authorities, or those of a file."""
    try:
        context = ssl.create_default_context(cafile=ca or None)
    except (OSError, ssl.SSLError) as error:
        raise Problem(f"{ca}: {error}", "give a file with certificates in PEM", status=2) from None
    if ca:  # it may hold the certificate of the service itself
        context.verify_flags |= getattr(ssl, "VERIFY_X509_PARTIAL_CHAIN", 0)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def decoded(response: Any) -> dict[str, Any]:
    """The JSON object of a response. Raises Problem, OSError, HTTPException."""
    if response.status == 204:
        return {}
    content = response.read(LARGEST_ANSWER + 1)
    length = response.headers.get("Content-Length", "")
    if len(content) <= LARGEST_ANSWER and LENGTH.fullmatch(length) and int(length) != len(content):
        raise http.client.IncompleteRead(content, int(length) - len(content))
    if response.headers.get("Content-Encoding") == "gzip":
        content = unpacked(content)
    if len(content) > LARGEST_ANSWER:
        raise Problem(f"the answer is larger than {LARGEST_ANSWER >> 20} MiB", "check the URL")
    found = json_in(content)
    if not isinstance(found, dict):
        raise not_ours()
    return as_expected(found)


def unpacked(content: bytes) -> bytes:
    """What was compressed by gzip, at most one byte more than is taken. Raises OSError."""
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        found = unpacker.decompress(content, LARGEST_ANSWER + 1)
    except zlib.error as error:
        raise OSError(f"the answer is damaged: {error}") from None
    if not unpacker.eof and len(found) <= LARGEST_ANSWER:
        raise OSError("the answer is cut")
    return found


def json_in(content: str | bytes) -> Any:
    """The value of a JSON text; None if it is none that can be read."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


#: What the service's answers consist of. Other fields, and those that are null, do not matter.
SHAPE: Mapping[str, Any] = {
    "atoms": [str], "build": str, "builds": [{}], "cpv": str, "detail": str, "digest": str,
    "error": {}, "events": str, "id": str, "level": str, "name": str, "notes": [str],
    "position": int, "public_key": str, "refused": [{}], "role": str, "state": str, "target": str,
    "todo": str, "token": str, "what": str, "words": str,
}  # fmt: skip


def as_expected(found: dict[str, Any]) -> dict[str, Any]:
    """An answer whose known fields are what they should be. Raises Problem."""
    for name, value in found.items():
        shape = SHAPE.get(name)
        if name == "packages":  # of a target a number, of a build a list
            shape = int if isinstance(value, int) else [{}]
        if shape is None or value is None:
            continue
        kind = shape[0] if isinstance(shape, list) else shape
        each = value if isinstance(shape, list) and isinstance(value, list) else [value]
        if isinstance(shape, list) is not isinstance(value, list):
            raise not_ours()
        for one in each:
            if not isinstance(one, dict if kind == {} else kind):
                raise not_ours()
            if kind == {}:
                as_expected(one)
    return found


def not_ours() -> Problem:
    """What answers is something else."""
    return Problem("the answer is not that of a cloche service", "check its URL")


def refusal(code: int, headers: Any, body: bytes) -> Refusal:
    """An answer of the service that is an error, as a problem document (RFC 9457) or not."""
    found = json_in(body) if "json" in headers.get("Content-Type", "") else None
    if not isinstance(found, dict):
        found = {}
    what = found.get("what") or found.get("title") or http.client.responses.get(code, "error")
    said = f"the service says: {what}" if found else f"HTTP status {code}: {what}"
    pause = headers.get("Retry-After", "")
    later = float(pause) if pause.isdecimal() and len(pause) < 9 else 0.0 if code in AWAY else None
    if later is not None and later > LONGEST_PAUSE:
        later = None
    return Refusal(code, said, str(found.get("todo") or ""), str(found.get("detail") or ""), later)


def renewal(server: str, target: str) -> str:
    """How a machine gets another token, in the place of one that the service does not take."""
    made = f"`cloche serve token add NAME --target {target}` there makes a new one"
    return f"{made}; then: {PROGRAM} enrol --server {server} --token-file FILE"


def unreachable(server: str, reason: object) -> Unreachable:
    """The service cannot be reached. An error of the system is shown by its text alone."""
    said = getattr(reason, "strerror", None) or reason
    return Unreachable(f"{server} does not answer: {said}", "try again later", status=3)


def untrusted(server: str, error: ssl.SSLCertVerificationError) -> Problem:
    """The service's certificate is not valid here."""
    what = f"the certificate of {server} is not trusted: {error.verify_message}"
    return Problem(what, "enrol with --ca FILE or --fingerprint SHA256", status=3)


def server_url(text: str) -> str:
    """The address of a service without a slash at its end. Raises Problem."""
    try:
        parts = urllib.parse.urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urllib.parse.urlsplit(""), "", None
    if parts.scheme not in ("http", "https") or not host or parts.username or port == 0:
        what = "not the URL of a service"
        raise Problem(what, "write it as https://HOST[:PORT]", status=2)
    if not URL.fullmatch(text):
        raise Problem("the URL has other than ASCII characters", "write them as %XX", status=2)
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def is_exposed(server: str) -> bool:
    """Whether what goes to a service can be read and changed on its way."""
    parts = urllib.parse.urlsplit(server)
    host = parts.hostname or ""
    near = host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host)
    return parts.scheme == "http" and not near


def fetch_certificate(server: str, fingerprint: str) -> str:
    """The certificate of a service, if it has this SHA-256. Raises Problem."""
    parts = urllib.parse.urlsplit(server)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host = parts.hostname or ""
    try:
        plain = socket.create_connection((host, parts.port or 443), TIMEOUT)
        with plain, context.wrap_socket(plain, server_hostname=host) as connection:
            certificate = connection.getpeercert(binary_form=True) or b""
    except OSError as error:
        raise unreachable(server, error) from None
    found = hashlib.sha256(certificate).hexdigest()
    if found != fingerprint.replace(":", "").lower():
        what = f"the certificate of {server} has another fingerprint: {found}"
        raise Problem(what, "do not trust it unless you know why it changed", status=1)
    return ssl.DER_cert_to_PEM_cert(certificate)


# --- Events of builds ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Message:
    """A server-sent event."""

    id: str
    kind: str
    data: str


def read_messages(lines: Iterable[bytes]) -> Iterator[Message]:
    """Read server-sent events (WHATWG HTML, 9.2.6); one that the stream cuts off is left out."""
    id, kind, size = "", "", 0
    data: list[str] = []
    for line in lines:
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if not text:
            if data:
                yield Message(id, kind or "message", "\n".join(data))
            kind, size = "", 0
            data = []
            continue
        name, _, value = text.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if name == "data":
            size += len(value) + 1
            if size > LARGEST_MESSAGE:
                raise Problem("the service sends an event without an end")
            data.append(value)
        elif name == "event":
            kind = value
        elif name == "id" and "\0" not in value:
            id = value


def follow(
    service: Service, build: str, events: str, tell: Callable[[str], None]
) -> Iterator[Mapping[str, Any]]:
    """The events of a build until it is over, across restarts of the service. Raises Problem."""
    last, failed = "", 0
    while True:
        headers = {"Accept": "text/event-stream"}
        if last:
            headers["Last-Event-ID"] = last
        try:
            with service.open("GET", events, headers=headers) as response:
                for message in read_messages(iter(lambda: response.readline(LARGEST_MESSAGE), b"")):
                    last, failed = message.id or last, 0
                    event = event_of(message)
                    yield event
                    if event["event"] == "end":
                        return
            if is_over(service.call("GET", f"/api/v1/builds/{build}")):
                return
            why = "the connection was closed"
        except (OSError, http.client.HTTPException) as error:
            why = str(error) or type(error).__name__
        except Unreachable as error:
            why = error.what
        except Refusal as error:
            if error.later is None:
                raise
            why = error.what
        if failed == PATIENCE:
            raise Unreachable(why, "the build goes on: run the same command again", status=3)
        wait = WAITS[min(failed, len(WAITS) - 1)]
        failed += 1
        tell(f"{why}; trying again in {wait} s")
        time.sleep(wait)


def is_over(build: Mapping[str, Any]) -> bool:
    """Whether a build has ended, in any way."""
    return build.get("state") not in ("queued", "running")


def event_of(message: Message) -> Mapping[str, Any]:
    """The event (docs/events.md of cloche) in a message; one that cannot be read is empty."""
    found = json_in(message.data)
    if not isinstance(found, dict):
        return {"event": message.kind}
    event = {"event": message.kind, **found}
    return as_expected(event) if event["event"] == "end" else event


@dataclass
class Step:
    """A package of a build: ``state`` is waiting, running, built, reused, failed or skipped."""

    state: str = "waiting"
    doing: str = ""
    since: float = 0.0
    reason: str = ""
    lines: tuple[str, ...] = ()
    log: str = ""  # its address


class Progress:
    """What is known of a build, from its events."""

    def __init__(self) -> None:
        self.steps: dict[str, Step] = {}
        self.needs: dict[str, list[str]] = {}
        self.needed_by: dict[str, list[str]] = {}
        self.expected: dict[str, float] = {}
        self.stage = ""
        self.result: Mapping[str, Any] = {}  # how the build ended
        self.skew = float("inf")  # by how much this machine's clock is ahead of the service's

    def take(self, event: Mapping[str, Any], now: float) -> str:
        """Take an event; return a line for the user, or nothing."""
        if isinstance(event.get("time"), (int, float)):
            self.skew = min(self.skew, now - event["time"])
        kinds: dict[Any, Callable[[Mapping[str, Any], float], str | None]] = {
            "planned": self._planned, "started": self._started, "phase": self._phase,
            "done": self._done, "stage": self._stage, "note": self._note,
            "end": self._end,
        }  # fmt: skip
        wrong = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
        with contextlib.suppress(*wrong):
            return kinds[event.get("event")](event, now) or ""
        return ""  # a kind that does not matter, or of another version

    def count(self, *states: str) -> int:
        """The number of packages in these states."""
        return sum(step.state in states for step in self.steps.values())

    @property
    def running(self) -> list[str]:
        """The packages that are being built, those that began first in front."""
        found = [(step.since, id) for id, step in self.steps.items() if step.state == "running"]
        return [id for _, id in sorted(found)]

    def _planned(self, event: Mapping[str, Any], now: float) -> str:
        self.steps = {str(id): self.steps.get(id, Step()) for id in event["packages"]}
        edges = event.get("edges", {})
        self.needs = {str(id): list(map(str, others)) for id, others in edges.items()}
        self.needed_by = {}
        for id, others in self.needs.items():
            for other in others:
                self.needed_by.setdefault(other, []).append(id)
        expected = event.get("expected", {})
        self.expected = {str(id): float(seconds) for id, seconds in expected.items()}
        return counted(len(self.steps), "package")

    def _started(self, event: Mapping[str, Any], now: float) -> str:
        step = self.steps.setdefault(str(event["package"]), Step())
        if step.state != "running":
            step.since = self._local(event, now)
        step.state, step.doing = "running", str(event.get("step", ""))
        return f"{step.doing} {short(str(event['package']))}" if step.doing == "build" else ""

    def _phase(self, event: Mapping[str, Any], now: float) -> None:
        if event.get("state") == "start":
            self.steps[event["package"]].doing = str(event["phase"])

    def _done(self, event: Mapping[str, Any], now: float) -> str:
        step = self.steps.setdefault(str(event["package"]), Step())
        step.state, step.reason = str(event["how"]), str(event.get("reason") or "")
        step.lines = tuple(map(str, event.get("lines") or ()))
        step.log = str(event.get("log") or "")
        name = short(str(event["package"]))
        return {
            "built": f"{name} built in {clock(float(event.get('seconds', 0)))}",
            "failed": f"{name} failed: {step.reason}",
            "skipped": f"{name} skipped",
        }.get(step.state, "")

    def _stage(self, event: Mapping[str, Any], now: float) -> None:
        self.stage = str(event["name"]) if event["state"] == "start" else ""

    def _note(self, event: Mapping[str, Any], now: float) -> str:
        return str(event["text"])

    def _end(self, event: Mapping[str, Any], now: float) -> None:
        self.result = event

    def _local(self, event: Mapping[str, Any], now: float) -> float:
        return float(event["time"]) + self.skew if "time" in event else now


# --- Drawing ------------------------------------------------------------------------------------

MARKS = {"waiting": "·", "built": "✔", "reused": "✔", "failed": "✘", "skipped": "-", "running": "▶"}
PLAIN = str.maketrans("┌├└─·✔✘▶…", "/|\\-.+x>~")
NEIGHBOURS = 3  # of a package that is being built, in each direction


def short(id: str) -> str:
    """The name of a package without its repository."""
    return shown(id.partition("::")[0])


def counted(number: int, name: str) -> str:
    """A number of things."""
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def clock(seconds: float) -> str:
    """A time as people write it."""
    whole = max(0, int(seconds)) if abs(seconds) < 1e9 else 0  # neither infinite nor no number
    if whole < 60:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def picture(progress: Progress, now: float, since: float, size: os.terminal_size) -> list[str]:
    """The graph around the packages that are being built, in lines that fit the terminal."""
    parts = [] if progress.stage else ["waiting"]
    if progress.steps:
        done = progress.count("built", "reused")
        parts = [f"{done} of {len(progress.steps)} done", f"{len(progress.running)} running"]
    if failed := progress.count("failed", "skipped"):
        parts.append(f"{failed} failed or skipped")
    parts += [progress.stage] if progress.stage else []
    lines = [" · ".join([*parts, clock(now - since)])]
    for number, id in enumerate(progress.running):
        block = branches(progress, id, now)
        left = len(progress.running) - number
        if len(lines) + len(block) + (left > 1) > size.lines - 2:
            lines.append(f"  … {left} more running")
            break
        lines += block
    return [shown(line)[: size.columns - 1] for line in lines]


def branches(progress: Progress, id: str, now: float) -> list[str]:
    """A package that is being built, below what it needs and above what needs it."""
    step = progress.steps[id]
    took = clock(now - step.since)
    if progress.expected.get(id):
        took += f" of about {clock(progress.expected[id])}"
    needs = neighbours(progress, progress.needs.get(id, []))
    later = neighbours(progress, progress.needed_by.get(id, []))
    return [
        *(f"  {'┌' if n == 0 else '├'} {text}" for n, text in enumerate(needs)),
        f"  ▶ {short(id)}  {step.doing}  {took}",
        *(f"  {'├' if n < len(later) - 1 else '└'} {text}" for n, text in enumerate(later)),
    ]


def neighbours(progress: Progress, ids: Sequence[str]) -> list[str]:
    """Some packages with their states."""
    states = [(progress.steps[id].state, id) for id in ids if id in progress.steps]
    lines = [f"{MARKS.get(state, ' ')} {short(id)}" for state, id in states[:NEIGHBOURS]]
    if len(states) > NEIGHBOURS:
        lines.append(f"… {len(states) - NEIGHBOURS} more")
    return lines


class Screen:
    """Lines that stay, and below them a picture that is drawn again: only on a terminal."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.live = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.color = self.live and not os.environ.get("NO_COLOR")
        self.drawn = 0

    def say(self, line: str) -> None:
        """Write a line that stays."""
        self._erase()
        self._write(shown(line) + "\n")

    def draw(self, lines: Sequence[str]) -> None:
        """Draw the picture in the place of the one before."""
        if self.live:
            self._erase()
            self._write("".join(f"{self._highlighted(line)}\n" for line in lines))
            self.drawn = len(lines)

    def close(self) -> None:
        """Take the picture away."""
        self._erase()
        self.stream.flush()

    def _highlighted(self, line: str) -> str:
        return f"\x1b[1;7m{line}\x1b[0m" if self.color and line.startswith("  ▶") else line

    def _erase(self) -> None:
        if self.drawn:
            self._write(f"\x1b[{self.drawn}A\x1b[J")
            self.drawn = 0

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
        except UnicodeEncodeError:
            self.stream.write(text.translate(PLAIN).encode("ascii", "replace").decode())
        self.stream.flush()


def watch(service: Service, build: str, events: str, screen: Screen) -> Progress:
    """Show a build until it is over. Raises Problem, KeyboardInterrupt."""
    found: queue.Queue[tuple[str, Any]] = queue.Queue()
    threading.Thread(target=read_into, args=(found, service, build, events), daemon=True).start()
    progress, since = Progress(), time.time()
    try:
        while True:
            with contextlib.suppress(queue.Empty):
                kind, value = found.get(timeout=1)
                if kind == "end":
                    return progress
                if kind == "problem":
                    raise value
                line = value if kind == "line" else progress.take(value, time.time())
                if line and (not screen.live or kind == "line" or value.get("event") in LASTING):
                    screen.say(f"  {line}")
                if not found.empty():
                    continue
            screen.draw(picture(progress, time.time(), since, shutil.get_terminal_size()))
    finally:
        screen.close()


LASTING = ("done", "note")  # events whose lines stay above the picture


def read_into(
    found: queue.Queue[tuple[str, Any]], service: Service, build: str, events: str
) -> None:
    """Put the events of a build into a queue: only the main thread gets Ctrl-C."""
    try:
        for event in follow(service, build, events, lambda line: found.put(("line", line))):
            found.put(("event", event))
    except Exception as error:  # the main thread raises it
        found.put(("problem", error))
    else:
        found.put(("end", None))


# --- emerge -------------------------------------------------------------------------------------

#: Options of emerge that change what it would install, and that the service knows.
RESOLVING = re.compile(
    r"--(update|deep|newuse|changed-use|changed-deps|changed-slot|emptytree|noreplace|nodeps"
    r"|onlydeps|oneshot|with-bdeps=[yn]|implicit-system-deps=[yn]|complete-graph=[yn])"
)
SHORT = {
    "u": "--update", "D": "--deep", "N": "--newuse", "U": "--changed-use", "n": "--noreplace",
    "O": "--nodeps", "o": "--onlydeps", "1": "--oneshot",
}  # fmt: skip
_ROW = re.compile(r"^\[(ebuild|binary)\b[^\]]*\]\s+([\w+.-]+/[\w+.-]+)", re.MULTILINE)


def spelled_out(words: Iterable[str]) -> list[str]:
    """Options of emerge with short ones written out: ``-uD`` is ``--update --deep``."""
    found = []
    for word in words:
        if re.fullmatch(r"-(?!j\d)[A-Za-z1]+", word):
            found += [SHORT.get(letter, f"-{letter}") for letter in word[1:]]
        else:
            found.append(word)
    return found


def for_trying(options: Iterable[str]) -> list[str]:
    """Options without those that ask, and those that hide what is not built yet."""
    left_out = {"--usepkgonly", "-K", "--getbinpkgonly", "-G", "--ask", "-a"}
    return [each for each in spelled_out(options) if each not in left_out]


def for_resolving(options: Iterable[str]) -> list[str]:
    """Those options that change what emerge would install."""
    return [each for each in dict.fromkeys(spelled_out(options)) if RESOLVING.fullmatch(each)]


def missing_packages(options: Sequence[str], atoms: Sequence[str]) -> list[str]:
    """What emerge would build from source now, because no binary package is there, by CPV.

    Raises Problem with Portage's words where it refuses.
    """
    words = ["emerge", "--pretend", "--quiet", "--nospinner", "--color=n", "--getbinpkg"]
    words += [*options, *atoms]
    environment = {**os.environ, "EMERGE_DEFAULT_OPTS": "", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            check=False, stdin=subprocess.DEVNULL, env=environment,
        )  # fmt: skip
    except FileNotFoundError:
        raise Problem("emerge is not installed", "run cloche-client on Gentoo", status=3) from None
    if done.returncode:
        raise Problem("emerge cannot resolve this", "see its output above", detail=done.stdout)
    return [cpv for kind, cpv in _ROW.findall(done.stdout) if kind == "ebuild"]


def installable(options: Sequence[str], atoms: Sequence[str]) -> bool:
    """Whether emerge installs this if it may build nothing.

    Where the tree has another sub-slot of a library, it would rather build that and the package
    than take the package that is linked with the installed library. With ``--update`` this says
    nothing: what there is no package for is left as it is.
    """
    if "--update" in options:
        return False
    try:
        missing_packages(["--usepkgonly", *options], atoms)
    except Problem:
        return False
    return True


def with_category(atom: str) -> str:
    """An atom with the category that emerge would choose for it, since the service asks for one."""
    begins = re.search(r"\w", atom)
    if atom.startswith("@") or "/" in atom or begins is None:
        return atom
    from portage.dep import dep_getkey

    _, settings = load_portage()
    before, rest = atom[: begins.start()], atom[begins.start() :]
    name = dep_getkey(f"{before}null/{rest}").partition("/")[2]
    found = {
        category
        for repository in settings.repositories
        for category in settings.categories
        if repository.location and Path(repository.location, category, name).is_dir()
    }
    if len(found) > 1:
        found -= {"acct-group", "acct-user", "virtual"}
    return f"{before}{min(found)}/{rest}" if len(found) == 1 else atom


NEEDS_BUILDING = 222  # an exit status that emerge does not have


def emerge_if_ready(
    defaults: Sequence[str], options: Sequence[str], atoms: Sequence[str]
) -> tuple[int, list[str]]:
    """Run emerge, but stop it before it builds something from source.

    Return its exit status, and the packages that it would have built. So one resolution does,
    which is most of the time on a weak machine. Portage is stopped where its scheduler begins,
    with the list of what it is going to merge.
    """
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            os.environ["EMERGE_DEFAULT_OPTS"] = shlex.join(for_trying(defaults))
            status = guarded_emerge(["--getbinpkg", *for_trying(options), *atoms], writing)
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        except KeyboardInterrupt:
            status = 130
        except BaseException as error:
            print(f"cloche-client: emerge: {type(error).__name__}: {error}", file=sys.stderr)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    os.close(writing)
    try:
        with os.fdopen(reading, encoding="utf-8") as stream:
            missing = stream.read().split()
        _, status = os.waitpid(child, 0)
    except KeyboardInterrupt:  # emerge got it, too, and cleans up
        os.waitpid(child, 0)
        raise
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status), missing


def guarded_emerge(words: list[str], report: int) -> int:
    """emerge, in this process, that merges binary packages only."""
    import portage

    portage._internal_caller = True
    portage._disable_legacy_globals()
    from _emerge.main import emerge_main
    from _emerge.Scheduler import Scheduler

    merge = Scheduler.merge

    def merge_if_ready(self: Any) -> Any:
        needed = [
            str(package.cpv)
            for package in self._mergelist
            if getattr(package, "operation", "") == "merge" and package.type_name == "ebuild"
        ]
        if not needed:
            return merge(self)
        os.write(report, "\n".join(needed).encode())
        sys.stdout.flush()
        os._exit(NEEDS_BUILDING)

    Scheduler.merge = merge_if_ready
    return int(emerge_main(words) or 0)


# --- Commands -----------------------------------------------------------------------------------


def describe(options: argparse.Namespace) -> int:
    """Print the description of this machine."""
    collected = collect(Memory(), savedconfig=options.savedconfig)
    warn(collected.notes)
    sys.stdout.buffer.write(encode(collected.description) + b"\n")
    sys.stdout.buffer.flush()
    return 0


def enrol(options: argparse.Namespace) -> int:
    """Make this machine a target of a service, and the service a binary package host of emerge."""
    server = server_url(options.server)
    known = load_enrolment(options.config)
    if known and known.server != server and not options.again:
        what = f"this machine is enrolled with {known.server}"
        todo = f"{PROGRAM} leave, or give --again to enrol it with another service"
        raise Problem(what, todo, status=2)
    if is_exposed(server) and not options.allow_http:
        what = f"{server}: others on the way can read the token, and change packages"
        raise Problem(what, "use https://, or give --allow-http", status=2)
    etc, home = portage_places()
    path = binrepos_file(etc)
    if options.pretend:
        return show_enrolment(options, server, path, home)
    check_writable(options, etc)
    before = known if known and known.server == server else None
    ca = certificates(options, server) or (before.ca if before else "")
    enrolment, notes = enrolled_with(options, Service(server, given_token(options), ca), before)
    enrolment = with_keys(enrolment, known, home, drop=options.drop_old_keys)
    write_file(options.config, json.dumps(asdict(enrolment), indent=1) + "\n", 0o600)
    if enrolment.public_key:
        trust(enrolment.public_key, home)
    write_binrepos(path, enrolment, options.priority, Path(load_portage()[1]["EROOT"]))
    data: dict[str, Any] = {"server": server, "target": enrolment.target, "name": enrolment.name}
    data |= {"level": enrolment.level, "signed": bool(enrolment.public_key), "binrepos": str(path)}
    text = (
        f"This machine is {enrolment.name} ({enrolment.target}) at {server}, "
        f"level {enrolment.level}.\n"
        f"emerge --getbinpkg takes packages from there ({path}).\n"
        f"To have some built: {PROGRAM} want ATOM"
    )
    return answer(options, {**data, "notes": notes}, text)


def with_keys(
    enrolment: Enrolment, known: Enrolment | None, home: Path, *, drop: bool
) -> Enrolment:
    """An enrolment that knows all keys in Portage's keyring; to ``drop`` is to distrust the old."""
    keys = dict.fromkeys((*known.former_keys, known.public_key) if known else ())
    former = [each for each in keys if each not in ("", enrolment.public_key)]
    if drop:
        for each in former:
            distrust(each, home, but=enrolment.public_key)
        former = []
    return replace(enrolment, former_keys=former)


def check_writable(options: argparse.Namespace, etc: Path) -> None:
    """See that this user may change what enrolment wrote. Raises Problem."""
    for place in (options.config.parent, etc):
        if not os.access(place, os.W_OK):
            what = f"{place} cannot be written"
            raise Problem(what, f"run {PROGRAM} {options.command} as root", status=3)


def leave(options: argparse.Namespace) -> int:
    """Leave the service: it forgets this machine, and its files here are removed."""
    enrolment = enrolled(options)
    etc, home = portage_places()
    path = binrepos_file(etc)
    files = [options.config, FETCH, WGETRC, STATE, CERTIFICATE]
    there = [str(each) for each in files if each.exists()]
    data = {"server": enrolment.server, "target": enrolment.target, "files": there}
    lines = [f"remove {each}" for each in there]
    lines.insert(0, f"remove [{SECTION}] from {path}")
    keys = [each for each in (enrolment.public_key, *enrolment.former_keys) if each]
    if keys:
        lines.append(f"remove {counted(len(keys), 'key')} of the service from {home}")
    if not options.local:
        lines.insert(0, f"delete {enrolment.name} ({enrolment.target}) at {enrolment.server}")
    if options.pretend:
        text = "\n".join(["It would:", *(f"  {line}" for line in lines)])
        return answer(options, {**data, "removed": False}, text)
    check_writable(options, etc)
    if not options.local:
        delete_at(service_of(enrolment), enrolment.target)
    remove_binrepos(path)
    for key in keys:
        distrust(key, home)
    for each in files:
        with contextlib.suppress(FileNotFoundError):
            each.unlink()
    text = f"This machine has left {enrolment.server}. Installed packages stay."
    return answer(options, {**data, "removed": True}, text)


def delete_at(service: Service, target: str) -> None:
    """Let the service forget a target; it may have done so before. Raises Problem."""
    try:
        service.call("DELETE", f"/api/v1/targets/{quote(target)}", repeat=False)
    except Refusal as error:
        if error.code not in GONE:
            raise
        if error.code == 401:
            what = "the service does not take this machine's token, and may still have the target"
            warn([f"{what} {target}: its administrator can remove it"])
    except Unreachable as error:
        todo = f"try again later, or only remove the files here: {PROGRAM} leave --local"
        raise Problem(error.what, todo, status=3) from None


def show_enrolment(options: argparse.Namespace, server: str, path: Path, home: Path) -> int:
    """Say what `enrol` would do."""
    collected = collect(Memory(), savedconfig=options.savedconfig)
    text = encode(collected.description)
    example = Enrolment(server, "ID", "TOKEN", "", ca=options.ca or "")
    data: dict[str, Any] = {
        "bytes": len(text), "sent": len(gzip.compress(text, 6)),
        "packages": len(collected.description["packages"]), "notes": list(collected.notes),
        "files": {
            str(options.config): "the service's address, the target's id and token; mode 0600",
            str(path): binrepos_section(example, options.priority),
            str(FETCH): "the script with which emerge fetches",
            str(WGETRC): "the token, for that script; mode 0640, group portage",
            str(home): "the service's public key, if it signs its packages",
            str(STATE): "the description that the service has",
        },
    }  # fmt: skip
    lines = [
        f"It would send {data['sent']} bytes to {server}: "
        f"{counted(data['packages'], 'package')}, "
        f"{counted(len(collected.description['files']), 'file')} of /etc/portage.",
        f"To see them: {PROGRAM} describe",
        "It would write:",
    ]
    for name, content in data["files"].items():
        lines += [f"  {name}", *(f"    {line}" for line in content.splitlines())]
    return answer(options, data, "\n".join(lines))


def enrolled_with(
    options: argparse.Namespace, service: Service, known: Enrolment | None
) -> tuple[Enrolment, list[str]]:
    """The enrolment, and notes: as the target that the token is for, as before, or as a new one."""
    if not options.again:
        made = as_target_of(options, service, known)
        if made is None and known:
            made = enrolled_before(options, replace(known, ca=service.ca))
        if made:
            return made
    try:
        enrolment, notes = newly_enrolled(options, service)
    except Refusal as error:
        if error.code != 401 or service.token:
            raise
        if not sys.stdin.isatty():
            what = f"{service.server} needs a token to enrol"
            todo = "give one with --token-file FILE or in $CLOCHE_TOKEN; `cloche serve token add` "
            todo = renewal(known.server, known.target) if known else f"{todo}there prints one"
            raise Problem(what, todo, status=2) from None
        token = checked_token(getpass.getpass(f"Token for {service.server}: "))
        if not token:
            raise
        return enrolled_with(options, replace(service, token=token), known)
    if known and not options.again:
        notes.append(
            f"the service does not take the token of {known.target} any more: a new target"
        )
    return enrolment, notes


def as_target_of(
    options: argparse.Namespace, service: Service, known: Enrolment | None
) -> tuple[Enrolment, list[str]] | None:
    """The enrolment as the target that a given token is for; None if it is for none.

    So a machine gets a new token, or becomes again what it was before its files were lost.
    """
    if not service.token:
        return None
    try:
        found = service.call("GET", "/api/v1/token")
    except Refusal as error:
        if error.code in GONE:  # or the service is an older one
            return None
        raise
    target = found.get("target") or ""
    if found.get("role") != "request" or not WORD.fullmatch(target):
        return None
    if known and known.target != target:
        what = f"the token is for the target {target}, and this machine is {known.target}"
        raise Problem(what, f"to become that one: {PROGRAM} leave --local", status=2)
    own = known or Enrolment(service.server, target, "", "", savedconfig=options.savedconfig)
    return enrolled_before(options, replace(own, token=service.token, ca=service.ca))


def newly_enrolled(options: argparse.Namespace, service: Service) -> tuple[Enrolment, list[str]]:
    """Send the description for the first time; the enrolment, and notes. Raises Problem."""
    collected = collect(Memory(), savedconfig=options.savedconfig)
    name = options.name or socket.gethostname() or "target"
    data = {"name": name, "description": collected.description}
    if options.level:
        data["level"] = options.level
    found = service.call("POST", "/api/v1/targets", data, repeat=False)
    if not WORD.fullmatch(found.get("id") or "") or not WORD.fullmatch(found.get("token") or ""):
        raise not_ours()
    enrolment = Enrolment(
        server=service.server, target=found["id"], token=found["token"], name=name,
        level=found.get("level") or "", ca=service.ca, savedconfig=options.savedconfig,
        public_key=found.get("public_key") or "",
    )  # fmt: skip
    save_state(STATE, enrolment, collected.description, collected.memory)
    return enrolment, [*collected.notes, *notes_of(found)]


def enrolled_before(
    options: argparse.Namespace, known: Enrolment
) -> tuple[Enrolment, list[str]] | None:
    """An enrolment that the service still has, brought up to date; None if it has not."""
    service, path = service_of(known), f"/api/v1/targets/{quote(known.target)}"
    try:
        found = service.call("GET", path)
    except Refusal as error:
        if error.code in GONE:
            return None
        raise
    wished = {"name": options.name, "level": options.level}
    changed = {key: value for key, value in wished.items() if value and value != found.get(key)}
    if changed:
        found = service.call("PATCH", path, changed)
    enrolment = replace(
        known,
        name=found.get("name") or known.name,
        level=found.get("level") or known.level,
        public_key=found.get("public_key") or "",
        savedconfig=known.savedconfig or options.savedconfig,
    )
    refreshed = send_changes(enrolment, whole=False)
    return enrolment, list(refreshed.notes)


def given_token(options: argparse.Namespace) -> str:
    """The token of a file, standard input or the environment; empty if there is none."""
    if options.token_file == "-":  # noqa: S105 - standard input
        return checked_token(sys.stdin.readline())
    if options.token_file:
        return checked_token(Path(options.token_file).read_text("utf-8", "replace"))
    return checked_token(os.environ.get("CLOCHE_TOKEN", ""))


def checked_token(text: str) -> str:
    """A token that was given; it may be empty. Raises Problem."""
    token = text.strip()
    if token and not WORD.fullmatch(token):
        raise Problem("this is not a token", "give what `cloche serve token add` printed", status=2)
    return token


def certificates(options: argparse.Namespace, server: str) -> str:
    """The file with the certificates to trust; empty for the system's."""
    if options.ca:
        return str(Path(options.ca).resolve())
    if not options.fingerprint:
        return ""
    write_file(CERTIFICATE, fetch_certificate(server, options.fingerprint), 0o644)
    return str(CERTIFICATE)


def portage_places() -> tuple[Path, Path]:
    """/etc/portage, and the home of the keyring with which Portage verifies packages."""
    _, settings = load_portage()
    etc = Path(settings["PORTAGE_CONFIGROOT"], "etc/portage")
    return etc, Path(settings.get("BINPKG_GPG_VERIFY_GPG_HOME") or etc / "gnupg")


@dataclass(frozen=True)
class Refreshed:
    """What `send_changes` did: ``sent`` is "nothing", "change" or "whole"."""

    sent: str
    size: int
    notes: tuple[str, ...]


def refresh(options: argparse.Namespace) -> int:
    """Tell the service what changed on this machine since the last time."""
    done = send_changes(enrolled(options), whole=options.whole)
    texts = {"nothing": "Nothing changed.", "change": "Sent what changed.", "whole": "Sent all."}
    data = {"sent": done.sent, "bytes": done.size, "notes": list(done.notes)}
    return answer(options, data, texts[done.sent])


def send_changes(enrolment: Enrolment, *, whole: bool) -> Refreshed:
    """Bring the service's description of this machine up to date. Raises Problem."""
    state = load_state(STATE, enrolment)
    collected = collect(state.memory, savedconfig=enrolment.savedconfig)
    service = service_of(enrolment)
    path = f"/api/v1/targets/{quote(enrolment.target)}/description"
    found: Any = {}
    difference: Any = None
    if state.description and not whole:
        difference = change(state.description, collected.description)
        if difference:
            try:
                found = service.call("PATCH", path, difference)
            except Refusal as error:
                if error.code != 409:
                    raise
                difference = None  # the service has another state than was remembered
    if difference is None or (difference and found.get("digest") != digest(collected.description)):
        difference, whole = collected.description, True
        found = service.call("PUT", path, difference)
    with contextlib.suppress(OSError):  # then all is sent the next time
        save_state(STATE, enrolment, collected.description, collected.memory)
    sent = ("whole" if whole else "change") if difference else "nothing"
    size = len(gzip.compress(encode(difference), 6)) if difference else 0
    return Refreshed(sent, size, (*collected.notes, *notes_of(found)))


def want(options: argparse.Namespace) -> int:
    """Ask for packages, and watch them being built."""
    atoms = [word for word in options.words if not word.startswith("-")]
    flags = [word for word in options.words if word.startswith("-")]
    if not atoms:
        raise Problem("nothing is asked for", f"name packages: {PROGRAM} want ATOM", status=2)
    enrolment = enrolled(options)
    warn(send_changes(enrolment, whole=False).notes)
    defaults = default_options()
    resolving = for_resolving([*defaults, *flags])
    command = ["emerge", "--getbinpkg", "--usepkgonly", *flags, *atoms]
    if options.emerge:
        status, missing = emerge_if_ready(defaults, flags, atoms)
        if status != NEEDS_BUILDING:
            return status
    else:
        missing = missing_packages(resolving, atoms)
    built: dict[str, Any] = {}
    if missing:
        built = ask_for(options, enrolment, atoms, resolving, missing)
        if built["state"] not in ("done", "ready"):
            return answer(options, {**built, "command": command}, "", status=1)
    if options.emerge:
        sys.stdout.flush()
        os.execvp(command[0], command)  # noqa: S606 - emerge takes over
    missing = missing and missing_packages(resolving, atoms)
    if missing and not installable(resolving, atoms):
        what = f"emerge does not take what was built, and would build {' '.join(missing)}"
        raise Problem(what, f"see why: {shlex.join([*command, '--pretend'])}")
    text = f"All is ready. To install: {shlex.join(command)}"
    return answer(options, {**built, "command": command}, text)


def default_options() -> list[str]:
    """The options that the user gives to every emerge."""
    _, settings = load_portage()
    given = os.environ.get("EMERGE_DEFAULT_OPTS", settings.get("EMERGE_DEFAULT_OPTS", ""))
    return shlex.split(given)


def ask_for(
    options: argparse.Namespace,
    enrolment: Enrolment,
    atoms: Sequence[str],
    resolving: Sequence[str],
    missing: Sequence[str],
) -> dict[str, Any]:
    """Have packages built; return what came of it. Raises Problem."""
    service = service_of(enrolment)
    request = {
        "atoms": list(map(with_category, atoms)),
        "options": list(resolving),
        "packages": list(missing),
    }
    if options.level:
        request["level"] = options.level
    path = f"/api/v1/targets/{quote(enrolment.target)}/wants"
    found = service.call("POST", path, request)
    warn(notes_of(found))
    if not found.get("build"):
        return {"state": "ready"}
    build = found["build"]
    screen = Screen(io.StringIO() if options.json else sys.stdout)
    if found.get("position"):
        screen.say(f"Build {build}: {found['position']} before it")
    try:
        events = path_of(service, str(found.get("events") or f"/api/v1/builds/{build}/events"))
        progress = watch(service, build, events, screen)
    except KeyboardInterrupt:
        note = f"build {build} goes on: `{PROGRAM} status` shows it, the same command watches it"
        print(f"\n{PROGRAM}: detached; {shown(note)}", file=sys.stderr)
        raise
    result = progress.result or service.call("GET", f"/api/v1/builds/{quote(build)}")
    report(service, build, progress, result)
    kept = ("state", "packages", "refused", "error")
    return {"build": build, **{name: result.get(name) for name in kept}}


def path_of(service: Service, url: str) -> str:
    """The part of a URL of the service below its address; it may be a path alone."""
    path = url[len(service.server) :] if url.startswith(service.server) else url
    return f"/{path.lstrip('/')}"


def report(service: Service, build: str, progress: Progress, result: Mapping[str, Any]) -> None:
    """Say what a build did not give, and why."""
    failed = {id: step for id, step in progress.steps.items() if step.state == "failed"}
    for id, step in failed.items():
        show_failure(service, build, id, step)
    told = {id.partition("::")[0] for id in failed}
    notes = [
        f"{each.get('cpv')} is not built: {each.get('words')}"
        for each in result.get("refused") or ()
        if each.get("cpv") not in told
    ]
    notes += [
        f"{each.get('cpv')} was built, but emerge does not take it: {each.get('words')}"
        for each in result.get("packages") or ()
        if each.get("accepted") is False
    ]
    if error := result.get("error"):
        notes += [*str(error.get("detail") or "").splitlines(), str(error.get("what"))]
        notes += [str(error["todo"])] if error.get("todo") else []
    elif result.get("state") != "done" and not notes and not failed:
        notes.append(f"build {build}: {result.get('state')}")
    for note in notes:
        for line in note.splitlines():
            print(f"{PROGRAM}: {shown(line)}", file=sys.stderr)


def show_failure(service: Service, build: str, id: str, step: Step) -> None:
    """Why a package failed: the reason, the lines that explain it or the end of its log."""
    path = path_of(service, step.log or f"/api/v1/builds/{quote(build)}/log/{quote(id)}")
    lines: Sequence[str] = step.lines
    if not lines:
        with contextlib.suppress(Problem, OSError), service.open("GET", path) as response:
            last = collections.deque(iter(lambda: response.readline(10_000), b""), maxlen=20)
            lines = [line.decode("utf-8", "replace").rstrip() for line in last]
    for line in lines:
        print(f"  {shown(line)}", file=sys.stderr)
    print(f"{PROGRAM}: {short(id)} failed: {shown(step.reason)}", file=sys.stderr)
    print(f"  the whole log: {service.server}{shown(path)}", file=sys.stderr)


def status(options: argparse.Namespace) -> int:
    """What the service has for this machine."""
    enrolment = enrolled(options)
    service = service_of(enrolment)
    target = service.call("GET", f"/api/v1/targets/{quote(enrolment.target)}")
    builds = service.call("GET", f"/api/v1/builds?target={quote(enrolment.target)}")
    collected = collect(load_state(STATE, enrolment).memory, savedconfig=enrolment.savedconfig)
    stale = target.get("digest") != digest(collected.description)
    under_way = [each for each in builds.get("builds") or () if not is_over(each)]
    data = {"server": enrolment.server, "target": target, "stale": stale, "builds": under_way}
    lines = [
        f"{enrolment.name} ({enrolment.target}) at {enrolment.server}, "
        f"level {target.get('level') or enrolment.level}",
        "What the service knows of this machine is "
        + (f"out of date: {PROGRAM} refresh" if stale else "up to date."),
    ]
    if isinstance(target.get("packages"), int):
        lines.append(f"Ready: {counted(target['packages'], 'package')}.")
    lines += [
        f"Build {each.get('id')}: {each.get('state')}: {' '.join(each.get('atoms') or ())}"
        for each in under_way
    ]
    return answer(options, data, "\n".join(lines))


# --- What commands share ------------------------------------------------------------------------


def enrolled(options: argparse.Namespace) -> Enrolment:
    """The enrolment. Raises Problem if there is none."""
    found = load_enrolment(options.config)
    if found is None:
        what = "this machine is not enrolled with a service"
        raise Problem(what, f"{PROGRAM} enrol --server URL", status=2)
    return found


def service_of(enrolment: Enrolment) -> Service:
    """The service of an enrolment."""
    return Service(enrolment.server, enrolment.token, enrolment.ca, enrolment.target)


def notes_of(found: Any) -> list[str]:
    """The notes for the user in an answer."""
    notes = found.get("notes") if isinstance(found, dict) else None
    return [str(note) for note in notes or ()]


def answer(options: argparse.Namespace, data: Any, text: str, *, status: int = 0) -> int:
    """Write the result of a command: as JSON if that is asked for."""
    if options.json:
        print(json.dumps(data, indent=1))
    else:
        warn(data.get("notes") or ())
        if text:
            print("\n".join(shown(line) for line in text.split("\n")))
    return status


def warn(notes: Iterable[str]) -> None:
    """Tell what the user should know."""
    for note in notes:
        print(f"{PROGRAM}: {shown(note)}", file=sys.stderr)


def shown(text: str) -> str:
    """A text of others in one line, with control characters as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


# --- The command line ---------------------------------------------------------------------------


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Binary packages for this machine from a cloche service.",
    )  # fmt: skip
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(run: Callable[[argparse.Namespace], int], *examples: str) -> argparse.ArgumentParser:
        text = run.__doc__ or ""
        command = commands.add_parser(
            run.__name__, help=text[0].lower() + text[1:].rstrip("."), description=text,
            epilog="\n".join(["examples:", *(f"  {each}" for each in examples)]),
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
        )  # fmt: skip
        command.set_defaults(run=run, words=[])
        command.add_argument("--json", action="store_true", help="write the result as JSON")
        command.add_argument("--config", type=Path, default=CONFIG, help=argparse.SUPPRESS)
        return command

    command = add(
        describe,
        f"{PROGRAM} describe | python3 -m json.tool | less",
        "ssh HOST python3 - describe < cloche_client.py",
    )
    add_savedconfig(command)
    command = add(
        enrol,
        f"{PROGRAM} enrol --server https://build.example.org --token-file token",
        f"{PROGRAM} enrol --server https://build.example.org --pretend",
    )
    command.add_argument("--server", required=True, metavar="URL", help="address of the service")
    command.add_argument(
        "--token-file",
        metavar="FILE",
        help="file with a token that allows to enrol, or a new one for this machine; - is standard "
        "input, the default is $CLOCHE_TOKEN, or a question",
    )
    command.add_argument("--name", help="the machine's name [its host name]")
    command.add_argument(
        "--allow-http", action="store_true", help="let http:// be used beyond this host"
    )
    command.add_argument("--level", choices=LEVELS, help="how well packages have to fit")
    command.add_argument("--priority", type=int, default=10, help="of the entry in binrepos.conf")
    command.add_argument("--ca", metavar="FILE", help="certificates to trust, in PEM")
    command.add_argument("--fingerprint", metavar="SHA256", help="of the service's certificate")
    add_savedconfig(command)
    command.add_argument("--again", action="store_true", help="as a new target")
    command.add_argument(
        "--drop-old-keys",
        action="store_true",
        help="no longer trust keys with which the service signed before",
    )
    add_pretend(command, "show what would be sent and written")
    command = add(leave, f"{PROGRAM} leave --pretend", f"{PROGRAM} leave")
    command.add_argument(
        "--local", action="store_true", help="only remove the files here: the service is gone"
    )
    add_pretend(command, "show what would be removed")
    command = add(refresh, f"{PROGRAM} refresh")
    command.add_argument("--whole", action="store_true", help="send everything")
    command = add(
        want,
        f"{PROGRAM} want app-editors/vim",
        f"{PROGRAM} want -e @world --update --deep --newuse",
    )
    command.usage = (
        f"{PROGRAM} want [-h] [--json] [--level LEVEL] [-e] ATOM|@SET… [OPTION OF EMERGE…]"
    )
    command.add_argument("--level", choices=LEVELS, help="how well packages have to fit")
    command.add_argument("-e", "--emerge", action="store_true", help="then install them")
    add(status, f"{PROGRAM} status", f"{PROGRAM} status --json")
    return parser


def add_pretend(command: argparse.ArgumentParser, text: str) -> None:
    """The option that only shows what would be done."""
    names = ("-p", "--pretend", "--dry-run")
    command.add_argument(*names, action="store_true", help=text)


def add_savedconfig(command: argparse.ArgumentParser) -> None:
    """The option that sends more of /etc/portage."""
    text = "also send /etc/portage/savedconfig"
    command.add_argument("--savedconfig", action="store_true", help=text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status."""
    parser = make_parser()
    options, words = parser.parse_known_args(arguments)
    if words and options.run is not want:
        parser.error(f"unrecognized arguments: {' '.join(words)}")
    options.words = words
    return run_safely(options.run, options)


def run_safely(run: Callable[[Any], int], options: Any) -> int:
    """Run a command; return its exit status. What is wrong is one line."""
    try:
        return int(run(options))
    except Problem as problem:
        for line in problem.detail.rstrip().splitlines():
            print(shown(line.expandtabs()), file=sys.stderr)
        todo = f": {problem.todo}" if problem.todo else ""
        print(f"{PROGRAM}: {shown(problem.what)}{shown(todo)}", file=sys.stderr)
        return problem.status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except OSError as error:
        print(f"{PROGRAM}: {shown(str(error))}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
