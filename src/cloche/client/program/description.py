"""The description of this machine: what identifies it, and what does not leave it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloche.client.program.installed import read_symbols, read_vdb, resolve_native
from cloche.client.program.problem import Description, Problem
from cloche.client.program.reading import Memory, load_portage, read_lines
from cloche.client.program.repositories import read_repositories

FORMAT = 1
LEVELS = ("1", "2", "3a", "3b", "4")  # docs/targets.md of cloche
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
_VARIABLE = re.compile(r"[^\W\d]\w*")


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
