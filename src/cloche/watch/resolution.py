"""Finds the edges of a running emerge: its root's Portage resolves its command line again.

The guest's code is sent to that root's Python over standard input. Nothing is built or fetched; it
does what ``emerge --pretend`` does, at low priority.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from cloche.decoding import NOT_DECODABLE
from cloche.sandbox.copying import collect
from cloche.watch.processes import Emerge, environment_of

GUEST = Path(__file__).resolve().parent.parent / "guest"
MODULES = ("observe", "graph", "settings")
SECONDS = 120.0  # a large world takes Portage that long
MOST = 64 << 20  # bytes that are read of its answer, and of its errors

# An import hook for a package that only exists in the request.
BOOT = """
import importlib.abc, importlib.util, json, sys
request = json.load(sys.stdin)
class Guest(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name == "guest" or name.startswith("guest."):
            return importlib.util.spec_from_loader(name, self, is_package=name == "guest")
    def exec_module(self, module):
        text = request["modules"].get(module.__name__.partition(".")[2], "")
        exec(compile(text, module.__name__, "exec"), module.__dict__)
sys.meta_path.insert(0, Guest())
from guest.observe import main
main(request)
"""
# Variables of emerge's environment that change a resolution.
PASSED = (
    "USE", "ACCEPT_KEYWORDS", "ACCEPT_LICENSE", "FEATURES", "ROOT", "SYSROOT", "EPREFIX",
    "PORTAGE_CONFIGROOT", "PORTAGE_REPOSITORIES", "EMERGE_DEFAULT_OPTS", "PYTHON_TARGETS",
    "PYTHON_SINGLE_TARGET", "VIDEO_CARDS", "INPUT_DEVICES", "CPU_FLAGS_X86", "L10N", "PKGDIR",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Resolved:
    """Ids in merge order, and the earlier ones that each needs. Empty if it is not known.

    ``log_dir`` is the directory of emerge.log in that root's configuration, if set.
    """

    packages: tuple[str, ...] = ()
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    log_dir: str | None = None
    problem: str | None = None


def resolve_again(emerge: Emerge, done: Iterable[str]) -> Resolved:
    """Resolve in the root of an emerge; ``done`` are the cpvs that it has already merged."""
    request = {
        "argv": list(emerge.argv),
        "done": sorted(done),
        "modules": {name: (GUEST / f"{name}.py").read_text() for name in MODULES},
    }
    root = emerge.root

    def enter() -> None:
        os.nice(15)
        if not os.path.samestat(root.stat(), Path("/").stat()):
            os.chroot(root)
        os.chdir("/")

    try:
        return read_answer(*_answer(emerge, msgspec.json.encode(request), enter))
    except TimeoutError as error:  # an OSError, too
        return Resolved(problem=f"its Portage does not answer ({error})")
    except OverflowError as error:
        return Resolved(problem=f"its Portage writes too much ({error})")
    except (OSError, subprocess.SubprocessError) as error:
        return Resolved(problem=f"its root cannot be entered ({error})")


def _answer(emerge: Emerge, request: bytes, enter: Callable[[], None]) -> tuple[bytes, bytes]:
    """Run the script in that root; return its output and its errors."""
    with open(os.memfd_create("cloche-request"), "wb+") as given:
        given.write(request)
        given.seek(0)
        process = subprocess.Popen(
            [emerge.interpreter, "-I", "-c", BOOT],
            stdin=given,
            env=_environment(environment_of(emerge)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=enter,
        )
    with process:
        streams = [stream.fileno() for stream in (process.stdout, process.stderr) if stream]
        try:
            output, errors = collect(streams, MOST, SECONDS)
        except BaseException:
            process.kill()
            raise
    return output, errors


def read_answer(output: bytes, errors: bytes) -> Resolved:
    """The script's answer, which is untrusted."""
    try:
        answer = msgspec.json.decode(output, type=_Answer)
    except NOT_DECODABLE:
        last = errors.decode(errors="replace").strip().splitlines()[-1:]
        return Resolved(problem=" ".join(["it could not be resolved again", *last]))
    log_dir = answer.log_dir if answer.log_dir and ".." not in answer.log_dir else None
    if answer.packages is None:
        problem = "its command line does not name what it installs"
        return Resolved(log_dir=log_dir, problem=problem)
    return Resolved(
        packages=tuple(node.id for node in answer.packages),
        needs={node.id: tuple(node.needs) for node in answer.packages},
        log_dir=log_dir,
    )


class _Node(msgspec.Struct, frozen=True):
    id: str
    needs: list[str]


class _Answer(msgspec.Struct, frozen=True):
    packages: list[_Node] | None
    log_dir: str | None = None


def _environment(theirs: Mapping[str, str]) -> dict[str, str]:
    ours = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
        "NOCOLOR": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return ours | {name: theirs[name] for name in PASSED if name in theirs}
