"""Makes a Debian tree with mmdebstrap, the same for root and ordinary users.

Everyone starts ``mmdebstrap --mode=unshare`` as uid 0: root is that anyway, and an ordinary user by
the time this runs, in the user namespace that cloche entered through newuidmap. For uid 0 that
mode makes no user namespace of its own, only mount, PID, IPC and UTS namespaces, and writes the
directory itself, so owners and modes come out alike for both. ``--mode=root`` would do as well, but
it mounts ``/proc`` and ``/sys`` where a ``kill -9`` leaves them behind. The one thing that a user
namespace cannot do, making device nodes, is not wanted: every sandbox has a ``/dev`` of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cloche.errors import Exit, says_full
from cloche.layers import SOURCE_DATE_EPOCH
from cloche.linux.processes import end_session, uninterrupted
from cloche.sandbox.copying import lines
from cloche.seeds.debian.apt import Mirror
from cloche.seeds.errors import SeedError

Report = Callable[[str], None]

# Constant, so that nothing in a tree depends on the day it was made.
EPOCH = SOURCE_DATE_EPOCH

# What Portage itself runs, and a toolchain.
TOOLCHAIN = (
    *("ca-certificates", "gcc", "g++", "make", "python3", "patch", "tar", "gawk", "file", "wget"),
    *("xz-utils", "bzip2", "zstd", "procps", "pax-utils"),  # scanelf: NEEDED, stripping, QA
    "netbase",  # services(5), protocols(5): baselayout's in Gentoo
)
# What many packages need to build, in Gentoo as dependencies of their own; `strict` hides these.
BUILD_TOOLS = (
    *("meson", "ninja-build", "python3-setuptools", "pkg-config", "autoconf", "automake"),
    *("libtool", "rsync", "gettext-base", "bison", "flex", "m4"),
)
PACKAGES = TOOLCHAIN + BUILD_TOOLS

# Debian's own documentation is a third of the files of a tree, and no build reads it.
_LEFT_OUT = (
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-include=/usr/share/locale/locale.alias",
)
_TOOLS = (
    *(("mmdebstrap", "mmdebstrap"), ("apt-get", "apt"), ("dpkg", "dpkg")),
    ("unshare", "util-linux"),
)
# The first process of the namespace gets SIGKILL when unshare(1) ends, and takes all others along.
_TOGETHER = ("unshare", "--pid", "--fork", "--kill-child=SIGKILL")
_TAIL = 20  # lines of the log that an error quotes
_GRACE = 5.0  # seconds to clean up in when interrupted
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "HTTPS_PROXY", "NO_PROXY")
_UNSIGNED = ("NO_PUBKEY", "is not signed", "signatures couldn't be verified", "EXPKEYSIG")
_UNREACHABLE = (
    *("Could not resolve", "Could not connect", "Unable to connect", "Failed to fetch"),
    *("Connection failed", "does not have a Release file", "Temporary failure resolving"),
)


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """The specification of a tree."""

    suite: str
    arch: str  # Debian's word for it; packages of another one are written PACKAGE:ARCH
    mirror: Mirror
    packages: tuple[str, ...] = PACKAGES
    apt_options: tuple[str, ...] = ()


def command(wanted: Bootstrap, tree: Path) -> list[str]:
    """The command line of mmdebstrap. A pure function."""
    # Signed-By, because --keyring alone only adds to all the keys that the host's apt trusts.
    source = f"deb [signed-by={wanted.mirror.keyring}] {wanted.mirror.uri} {wanted.suite} main"
    return [
        "mmdebstrap",
        "--mode=unshare",
        "--format=directory",
        "--variant=minbase",
        f"--architectures={','.join(_architectures(wanted))}",
        f"--include={','.join(wanted.packages)}",
        # apt's lists hold the digests for the lock; the preparation removes them.
        "--skip=output/dev,output/mknod,cleanup/apt/lists",
        *(f"--aptopt={option}" for option in wanted.apt_options),
        *(f"--dpkgopt={option}" for option in _LEFT_OUT),
        wanted.suite,
        str(tree),
        source,
    ]


def _architectures(wanted: Bootstrap) -> tuple[str, ...]:
    """The native architecture, and those of its packages that are written with another one."""
    named = (package.partition(":")[2] for package in wanted.packages)
    return tuple(dict.fromkeys((wanted.arch, *filter(None, named))))


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """A fixed environment; of the host's only what says how to reach a mirror."""
    fixed = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
        "SOURCE_DATE_EPOCH": str(EPOCH),
    }
    return {name: environ[name] for name in _PROXIES if name in environ} | fixed


def bootstrap(wanted: Bootstrap, tree: Path, log: Path, report: Report = lambda text: None) -> None:
    """Make the tree at ``tree``, which must be empty or absent; everything said goes to ``log``.

    Raises `SeedError`; what was made is then removed again.
    """
    for tool, package in _TOOLS:
        if shutil.which(tool) is None:
            raise SeedError(
                f"this host has no {tool}", todo=f"apt install {package}", status=Exit.HOST
            )
    if tree.is_dir() and any(tree.iterdir()):
        raise SeedError(
            "the directory for the new seed is not empty",
            where=tree,
            todo="give a directory that is empty or does not exist",
        )
    tree.mkdir(parents=True, exist_ok=True)
    # The ids of the namespace are not the caller's: apt's own user has to get through.
    tree.chmod(0o755)
    try:
        status = _run(command(wanted, tree), log, report)
    except BaseException:
        shutil.rmtree(tree, ignore_errors=True)
        raise
    if status != 0:
        shutil.rmtree(tree, ignore_errors=True)
        raise judge(wanted, status, log)


def _run(argv: list[str], log: Path, report: Report) -> int:
    """Run mmdebstrap, its words into the log, its steps to ``report``."""
    with (
        log.open("ab") as kept,
        _started([*_TOGETHER, *argv]) as process,
    ):
        try:
            for raw in lines(process.stdout.fileno()) if process.stdout else ():
                kept.write(raw)
                kept.flush()
                line = raw.decode(errors="replace")
                if line.startswith("I: ") and line.endswith("...\n") and "signal" not in line:
                    report(line[3:-4])
        except BaseException:
            end_session(process, _GRACE)  # alone, it would only wait for its children
            raise
        return process.wait()


def _started(argv: list[str]) -> subprocess.Popen[bytes]:
    with uninterrupted() as lift:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(os.environ),
            cwd="/",
            umask=0o022,
            start_new_session=True,  # so that it can be ended with all it started
            # There are no other threads.
            preexec_fn=lambda: lift(signal.SIGKILL),
        )


def judge(wanted: Bootstrap, status: int, log: Path) -> Exception:
    """Which error the words of a failed mmdebstrap stand for."""
    lines, mirror = tuple(last_lines(log)), wanted.mirror
    text = "\n".join(lines)
    if says_full(text):  # apt then says "Failed to fetch" as well
        return step_failed("mmdebstrap", status, log, text)
    if any(sign in line for line in lines for sign in _UNSIGNED):
        return SeedError(
            f"the index of {mirror.uri} is not signed by a key of {mirror.keyring}",
            todo="update debian-archive-keyring, or give the right keyring with --keyring",
            detail=text,
        )
    if any(sign in line for line in lines for sign in _UNREACHABLE):
        return SeedError(
            f"the Debian mirror {mirror.uri} cannot be used",
            todo="check the network and apt's proxy settings, or give another with --mirror",
            detail=text,
            status=Exit.FAILED,
        )
    return step_failed("mmdebstrap", status, log, text)


def step_failed(step: str, status: int, log: Path, text: str) -> SeedError:
    """mmdebstrap, or the preparation inside the new tree, ended with an error."""
    full = says_full(text)
    return SeedError(
        f"{step} ended with status {status}",
        todo=f"{'free some space, or use another --store; ' if full else ''}see {log}",
        detail=text,
        status=Exit.HOST if full else Exit.FAILED,
    )


def last_lines(log: Path, count: int = _TAIL) -> Iterator[str]:
    """The end of a log, empty lines left out."""
    with log.open(encoding="utf-8", errors="replace") as stream:
        yield from deque((line.rstrip() for line in stream if line.strip()), maxlen=count)
