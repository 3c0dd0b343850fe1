"""Libraries, the CPU and installed packages."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cloche.client.program.reading import _CPV, ENTRY, Memory, run_quietly

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
