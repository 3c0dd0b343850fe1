#!/usr/bin/env python3
"""Reads the configuration of a Gentoo system, for `cloche import root`; it only reads.

It is run from standard input: ``ssh HOST python3 - REQUEST < system_listing.py``, with Python 3.9
or later. REQUEST is JSON: ``root`` is the directory of the system. The answer is JSON, compressed
by zlib. No link leads out of the root. Passwords in addresses are taken out here, and files that
hold keys or passwords are never opened.
"""

# Links are followed by their texts, and names need not be UTF-8.
# ruff: noqa: PTH112, PTH113, PTH114, PTH115, PTH118, PTH208

from __future__ import annotations

import base64
import json
import os
import re
import stat
import sys
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

#: Files besides those of /etc/portage, and where services are switched on.
FILES = (
    *("etc/hostname", "etc/conf.d/hostname", "etc/timezone", "etc/locale.gen", "etc/locale.conf"),
    *("etc/env.d/02locale", "etc/vconsole.conf", "etc/conf.d/keymaps"),
    *("var/lib/portage/world", "var/lib/portage/world_sets"),
)
SERVICES = ("etc/runlevels", "etc/systemd/system")
#: Where services come from.
UNITS = ("etc/init.d/", "usr/lib/systemd/system/", "lib/systemd/system/")
SECRET_DIRECTORIES = ("etc/portage/gnupg", "etc/ssh", "etc/ssl/private", "root", "home")
SECRET_NAMES = re.compile(r"(shadow|gshadow)-?|id_\w+|.*\.(key|pem|p12|pfx|gpg|kbx)|\.netrc")
PASSWORD = re.compile(rb"(?<=://)[^\s/@\"'<>]*:[^\s/@\"'<>]*@")
LARGEST = 16 << 20  # bytes of a file
MOST = 64 << 20  # bytes of all
NAMES = 20_000
LEVELS = 32
LINKS = 40  # on the way to one file


class System:
    """What is found in a root."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/") or "/"
        self.names = self.size = 0
        self.found: dict[str, Any] = {
            **{key: {} for key in ("files", "links", "closed", "groups")},
            **{key: [] for key in ("redacted", "secret", "packages", "owned", "users", "others")},
            **dict.fromkeys(("profile", "chost", "kernel", "timezone"), ""),
        }

    def run(self) -> dict[str, Any]:
        """Read everything."""
        self.found["portage"] = os.path.isdir(self.at("etc/portage"))
        self.tree("etc/portage")
        self.tree("usr/share/portage/config/repos.conf")
        for name in FILES:
            self.file(name)
        for name in SERVICES:
            self.services(name)
        self.profile()
        self.installed()
        self.kernel()
        self.users()
        zone = self.real("etc/localtime") or ""
        if "/zoneinfo/" in zone:
            self.found["timezone"] = zone.partition("/zoneinfo/")[2]
        return self.found

    def at(self, name: str) -> str:
        """The place of a name of the root; only its last part may be a link."""
        above, _, last = name.rpartition("/")
        real = self.real(above)
        return os.devnull + "/" if real is None else os.path.join(self.root, real, last)

    def real(self, name: str) -> str | None:
        """The name that links lead to, each as if the root were ``/``; it need not exist."""
        waiting, links = name.split("/")[::-1], 0
        done: list[str] = []
        while waiting:
            part = waiting.pop()
            if part in ("", "."):
                continue
            if part == "..":
                done = done[:-1]
                continue
            try:
                target = os.readlink(os.path.join(self.root, *done, part))
            except OSError:
                done.append(part)
                continue
            links += 1
            if links > LINKS:
                return None
            done = [] if target.startswith("/") else done
            waiting += target.split("/")[::-1]
        return "/".join(done)

    def tree(self, name: str, levels: int = 0) -> None:
        """Take a file, or all files below a directory, as Portage reads them."""
        last = name.rpartition("/")[2]
        if last == "make.profile" or (levels and (last.startswith(".") or last.endswith("~"))):
            return
        self.names += 1
        real = self.real(name)
        if self.names > NAMES or levels > LEVELS or real is None:
            self.found["closed"][name] = "too many names or links"
        elif is_secret(real) or is_secret(name):
            self.found["secret"].append(name)
        elif os.path.isdir(self.at(real)):
            for below in self.listed(real):
                self.tree(f"{name}/{below}", levels + 1)
        else:
            self.file(name)

    def listed(self, name: str) -> list[str]:
        """The names in a directory, none if it cannot be read."""
        real = self.real(name)
        if real is None:
            return []
        try:
            found = sorted(os.listdir(os.path.join(self.root, real)))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self.found["closed"][name] = error.strerror
            return []
        odd = [each for each in found if printable(each) != each]
        for each in odd:
            self.found["closed"][f"{name}/{printable(each)}"] = "its name is not UTF-8"
        return [each for each in found if each not in odd]

    def file(self, name: str) -> None:
        """Take a file, without passwords in addresses."""
        content = self.content(name)
        if content is None:
            return
        plain = PASSWORD.sub(b"", content)
        if plain != content:
            self.found["redacted"].append(name)
        self.found["files"][name] = base64.b64encode(plain).decode()

    def content(self, name: str) -> bytes | None:
        """The content of a regular file; None if there is none that can be read."""
        file = self.opened(name)
        if file is None:
            return None
        with file:
            content: bytes = file.read(LARGEST + 1)
        self.size += len(content)
        if len(content) > LARGEST or self.size > MOST:
            self.found["closed"][name] = "too large"
            return None
        return content

    def opened(self, name: str) -> BinaryIO | None:
        """A regular file; None if there is none that can be read."""
        real = self.real(name)
        if real is None or is_secret(real):
            return None
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = os.open(os.path.join(self.root, real), flags)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self.found["closed"][name] = error.strerror
            return None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            self.found["closed"][name] = "not a regular file"
            return None
        return open(fd, "rb")

    def services(self, top: str) -> None:
        """Take the links in the directories of one: ``LEVEL/SERVICE``, ``TARGET.wants/UNIT``."""
        for above in self.listed(top):
            place = f"{top}/{above}"
            if os.path.islink(self.at(place)):
                self.found["links"][place] = printable(os.readlink(self.at(place)))
            elif os.path.isdir(self.at(place)):
                for below in self.listed(place):
                    self.names += 1
                    if os.path.islink(self.at(f"{place}/{below}")) and self.names < NAMES:
                        target = os.readlink(self.at(f"{place}/{below}"))
                        self.found["links"][f"{place}/{below}"] = printable(target)
                    else:
                        self.found["others"].append(f"{place}/{below}")
            else:
                self.found["others"].append(place)

    def profile(self) -> None:
        """Take where make.profile leads to, and its files if it is a directory."""
        for name in ("etc/portage/make.profile", "etc/make.profile"):
            if os.path.lexists(self.at(name)):
                self.found["profile"] = self.real(name) or ""
                for below in self.listed(name) if self.found["profile"] == name else ():
                    self.file(f"{name}/{below}")
                return

    def installed(self) -> None:
        """Take the installed packages, and which of their files are services."""
        top = "var/db/pkg"
        for category in self.listed(top):
            for package in self.listed(f"{top}/{category}"):
                place = f"{top}/{category}/{package}"
                if package.startswith("-") or not os.path.isfile(self.at(f"{place}/PF")):
                    continue
                self.found["packages"].append(f"{category}/{package}")
                if not self.found["chost"]:
                    self.found["chost"] = (self.content(f"{place}/CHOST") or b"").decode().strip()
                self.found["owned"] += self.services_of(f"{place}/CONTENTS")

    def services_of(self, contents: str) -> list[str]:
        """The services among the files of a package, by its CONTENTS."""
        found: list[str] = []
        file = self.opened(contents)
        if file is None:
            return found
        with file:
            for line in file:
                kind, _, path = line.decode("utf-8", "replace").partition(" /")
                if kind in ("obj", "sym") and path.startswith(UNITS):
                    found.append(path.split(" ")[0].strip())
        return found

    def kernel(self) -> None:
        """Take the configuration of the kernel: that which runs, or of its sources, or in /boot."""
        boots = [f"boot/{name}" for name in self.listed("boot") if name.startswith("config-")]
        boots.sort(key=self.changed, reverse=True)
        running = ("proc/config.gz",) if self.root == "/" else ()
        for name in (*running, "usr/src/linux/.config", *boots[:1]):
            content = self.content(name)
            if content:
                if name.endswith(".gz"):
                    content = zlib.decompressobj(31).decompress(content, LARGEST)
                self.found["kernel"] = name
                self.found["files"][name] = base64.b64encode(content).decode()
                return

    def changed(self, name: str) -> float:
        """When a file was changed."""
        return os.lstat(self.at(name)).st_mtime

    def users(self) -> None:
        """Take users that are people, without their passwords, and groups as they make them."""
        joined: dict[str, list[str]] = {}
        names: dict[str, str] = {}
        for name, _, gid, *members in self.table("etc/group", 3):
            names[gid] = name
            if is_own(gid):
                self.found["groups"][name] = int(gid)
            for user in members[0].split(",") if members else ():
                joined.setdefault(user, []).append(name)
        for name, _, uid, gid, comment, home, shell, *_ in self.table("etc/passwd", 7):
            if is_own(uid):
                others = sorted(joined.get(name, []))
                row = [name, int(uid), names.get(gid, ""), others, comment, home, shell]
                self.found["users"].append(row)

    def table(self, name: str, fields: int) -> Iterator[list[str]]:
        """The lines of passwd(5) or group(5) that have so many fields."""
        for line in (self.content(name) or b"").decode(errors="replace").splitlines():
            if line.count(":") >= fields - 1:
                yield line.split(":")


def is_own(number: str) -> bool:
    """Whether a user or a group is not one of the system (useradd(8))."""
    return number.isascii() and number.isdigit() and 1000 <= int(number[:9]) < 60_000


def is_secret(name: str) -> bool:
    """Whether a file holds keys or passwords, by its name in the root."""
    inside = any(f"{name}/".startswith(f"{above}/") for above in SECRET_DIRECTORIES)
    return inside or SECRET_NAMES.fullmatch(name.rpartition("/")[2]) is not None


def printable(text: str) -> str:
    """A text that JSON can have."""
    return text.encode("utf-8", "replace").decode()


if __name__ == "__main__":
    answer = json.dumps(System(json.loads(sys.argv[1])["root"]).run())
    sys.stdout.buffer.write(zlib.compress(answer.encode(), 6))
