"""This Python as files of an initramfs, with the modules that the agent loads.

The machine runs cloche's own code, so that sandboxes inside are made exactly as on the host.
Modules are compiled: a machine without KVM would take seconds to compile them.
"""

from __future__ import annotations

import marshal
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from types import CodeType

from cloche import layers
from cloche.sandbox.errors import HostError
from cloche.vm.cpio import Entry

_AGENT = "cloche.vm.agent"
# The agent needs one module of the room layers; the package itself would bring SQLite, hashes and
# others that take time to load.
_BARE = f"""
import types
sys.modules["cloche.layers"] = types.ModuleType("cloche.layers")
sys.modules["cloche.layers"].__path__ = {[*layers.__path__]!r}
"""
# Run by a fresh interpreter, so that only what the agent itself needs is loaded.
_LISTING = f"""
import marshal, sys
sys.path[:] = sys.argv[1:]
{_BARE}
import {_AGENT}
code, files = {{}}, []
for name, module in sys.modules.items():
    spec, path = getattr(module, "__spec__", None), getattr(module, "__file__", None)
    if not spec or not path or spec.origin == "frozen":  # those are part of the interpreter
        continue
    if path.endswith(".py"):
        code[path + "c"] = spec.loader.get_code(spec.name)
    else:
        files.append(path)
sys.stdout.buffer.write(marshal.dumps((code, files)))
"""
_INIT = """#!{python} -IS
import sys
sys.path[:] = {paths!r}
{bare}
from {agent} import main
main()
"""


def entries() -> list[Entry]:
    """Return the interpreter, its libraries, the agent's modules and ``/init``, which starts it.

    Raises HostError if this Python cannot be used there.
    """
    python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    paths = [path for path in sys.path if path]
    code, extensions = _listing(python, paths)
    found = [
        Entry(path, stat.S_IFREG | 0o644, MAGIC_NUMBER + bytes(12) + marshal.dumps(each))
        for path, each in code.items()
    ]
    files = [python, *extensions, *_libraries([python, *extensions])]
    if Path("/etc/ld.so.cache").exists():
        files.append("/etc/ld.so.cache")
    for file in files:
        found += placed(file)
    # Python finds its library by this file; the module itself is part of the interpreter.
    found.append(Entry(os.__file__, stat.S_IFREG | 0o644))
    init = _INIT.format(python=python, paths=paths, bare=_BARE, agent=_AGENT)
    return [*found, Entry("/init", stat.S_IFREG | 0o755, init.encode())]


def placed(path: str) -> Iterator[Entry]:
    """Return a file, and the symbolic links that lie on the way to it."""
    left = list(Path(path).parts[1:])
    current = "/"
    while left:
        part = left.pop(0)
        if part == "..":
            current = os.path.dirname(current)  # noqa: PTH120 - text, without any look at the disk
            continue
        here = f"{current.rstrip('/')}/{part}"
        if Path(here).is_symlink():
            target = str(Path(here).readlink())
            yield Entry(here, stat.S_IFLNK | 0o777, target.encode())
            left = [each for each in target.split("/") if each not in ("", ".")] + left
            current = "/" if target.startswith("/") else current
        else:
            current = here
    mode = 0o755 if os.access(current, os.X_OK) else 0o644
    yield Entry(current, stat.S_IFREG | mode, Path(current).read_bytes())


def _listing(python: str, paths: Sequence[str]) -> tuple[dict[str, CodeType], list[str]]:
    """Ask a fresh interpreter what it loads: code by its path, and extension modules."""
    command = [python, "-IS", "-c", _LISTING, *paths]
    run = subprocess.run(command, capture_output=True, check=False)
    if run.returncode != 0:
        said = run.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise HostError(f"{python} cannot run in a virtual machine: {said}")
    code, extensions = marshal.loads(run.stdout)  # noqa: S302 - from our own child
    return code, extensions


def _libraries(programs: Sequence[str]) -> list[str]:
    """Return the shared libraries of programs, by the paths under which the loader looks."""
    run = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False)
    return sorted(set(re.findall(r"(/\S+) \(0x", run.stdout)))
