"""Checks that Portage runs in a tree, by trying it in a sandbox."""

from __future__ import annotations

import os
from pathlib import Path

from cloche.config.project import SeedSpec
from cloche.linux import descriptors
from cloche.sandbox.base import Command, Emulator, Engine, Sandbox
from cloche.sandbox.copying import collect
from cloche.sandbox.errors import ProgramError
from cloche.seeds.errors import SeedError

_PYTHON = "/usr/bin/python3"
_TRIAL = "import portage, _emerge.depgraph; print(portage.VERSION)"
_TIMEOUT = 120.0  # seconds
_LONGEST = 300  # characters of its last line in an error
_MOST = 1 << 20  # bytes that are read of each stream
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}


def _unfit(seed: SeedSpec, reason: str) -> SeedError:
    if machine := seed.text("machine"):
        what = f"machine {machine} cannot be a seed"
        todo = f"add bash, Python and Portage to the packages of {machine}, and build it again"
    else:
        what = "this tree cannot be a seed"
        todo = "give a root with bash, Python and Portage, such as a stage3"
    return SeedError(f"{what}: {reason}", where=f"[seeds.{seed.name}]", todo=todo)


def portage_of(
    engine: Engine, tree: Path, seed: SeedSpec, emulators: tuple[Emulator, ...] = ()
) -> str:
    """The version of the Portage in a tree. Raises `SeedError` where there is none that runs."""
    for path in ("bin/bash", "etc/passwd"):
        if not os.path.lexists(tree / path):
            raise _unfit(seed, f"it has no /{path}")
    version, said = _run(
        engine, Sandbox((tree,), emulators=emulators), seed, (_PYTHON, "-I", "-c", _TRIAL)
    )
    if not version:
        last = said.strip().splitlines()[-1:] or ["no output"]
        raise _unfit(seed, f"Portage does not run in it: {last[0].strip()[:_LONGEST]}")
    return version


def _run(
    engine: Engine, sandbox: Sandbox, seed: SeedSpec, words: tuple[str, ...]
) -> tuple[str, str]:
    """What a command in a tree says on its standard output if it ends well, and its errors."""
    streams = [descriptors.pipe() for _ in range(2)]
    (out, out_end), (err, err_end) = streams
    try:
        process = engine.start(
            sandbox,
            Command(words, _ENVIRONMENT, timeout=_TIMEOUT),
            stdout=out_end,
            stderr=err_end,
        )
    except ProgramError as error:
        raise _unfit(seed, f"{words[0]} does not run in it: {error.message}") from error
    finally:
        for end in (out_end, err_end):
            descriptors.close(end)
    with open(out, "rb"), open(err, "rb"):
        try:
            told, failed = collect((out, err), _MOST)
        except BaseException as error:
            process.kill()
            process.wait()
            if isinstance(error, OverflowError):
                raise _unfit(seed, f"its {words[0]} writes too much output") from error
            raise
    ended = process.wait()
    said = told.decode(errors="replace").strip()
    return (said if ended is not None and ended.ok else ""), failed.decode(errors="replace")
