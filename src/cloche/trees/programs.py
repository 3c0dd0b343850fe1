"""Runs git, rsync and unsquashfs without the user's configuration, and without prompts."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from cloche.fetching.download import shown
from cloche.linux.processes import uninterrupted
from cloche.sandbox.copying import collect
from cloche.trees.errors import SyncProgramError, missing_program
from cloche.trees.methods import SyncContext, SyncRequest

_GRACE = 3.0  # seconds to end in
_KEPT = 20  # last lines of a program's output
_LONGEST = 1 << 16  # bytes of a line that has no end yet
_MOST = 64 << 20  # bytes of output, part of which comes from a server
_PASSED = re.compile(r"PATH|HOME|SSH_AUTH_SOCK|TMPDIR|(?i:https?|all|no|rsync|socks)_proxy")
_PASSWORD = re.compile(r"://[^/\s]*@")
_PACKAGES = {
    "git": "dev-vcs/git (Debian: git)",
    "rsync": "net-misc/rsync (Debian: rsync)",
    "unsquashfs": "sys-fs/squashfs-tools (Debian: squashfs-tools)",
}


def watched(
    words: Sequence[str],
    request: SyncRequest,
    context: SyncContext,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> None:
    """Run a program, and report its progress.

    Raises `TreeError`.
    """
    with _started(words, request, env, cwd, subprocess.STDOUT) as process:
        try:
            said = _followed(process, context)
        except BaseException:
            process.terminate()  # so that it takes its lock files with it
            try:
                process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
    if process.returncode:
        raise _failed(words, request, "\n".join(said))


def output_of(
    words: Sequence[str],
    request: SyncRequest,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: Path | None = None,
) -> bytes:
    """Run a program, which may read a file, and return its standard output. Raises `TreeError`."""
    with _started(words, request, env, cwd, subprocess.PIPE, stdin) as process:
        streams = [stream.fileno() for stream in (process.stdout, process.stderr) if stream]
        try:
            out, err = collect(streams, _MOST)
        except BaseException as error:
            process.kill()
            if isinstance(error, OverflowError):
                raise _failed(words, request, f"it wrote {error}") from error
            raise
    if process.returncode:
        raise _failed(words, request, err.decode(errors="replace"))
    return out


def _started(
    words: Sequence[str],
    request: SyncRequest,
    env: Mapping[str, str] | None,
    cwd: Path | None,
    stderr: int,
    stdin: Path | None = None,
) -> subprocess.Popen[bytes]:
    passed = {key: value for key, value in os.environ.items() if _PASSED.fullmatch(key)}
    try:
        with uninterrupted() as lift, (stdin or Path(os.devnull)).open("rb") as read:
            return subprocess.Popen(
                words,
                stdin=read,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**passed, "LC_ALL": "C", **(env or {})},
                cwd=cwd,
                # A git that outlives us would go on in a cache that the next sync uses.
                # No other threads exist during a sync.
                preexec_fn=lambda: lift(signal.SIGTERM),
            )
    except FileNotFoundError as error:
        raise missing_program(request.name, words[0], _PACKAGES[words[0]]) from error


def _followed(process: subprocess.Popen[bytes], context: SyncContext) -> deque[str]:
    """Read to the end; lines that end in a carriage return are progress and not kept."""
    said: deque[str] = deque(maxlen=_KEPT)
    rest = b""
    while process.stdout and (data := process.stdout.read1(1 << 16)):  # type: ignore[attr-defined]
        *pieces, rest = re.split(b"(?<=[\r\n])", rest[-_LONGEST:] + data)
        for piece in pieces:
            text = piece.decode(errors="replace").strip()
            if not text:
                continue
            if piece.endswith(b"\r"):
                context.status(text)
            else:
                said.append(text)
    if rest.strip():
        said.append(rest.decode(errors="replace").strip())
    return said


def needed(program: str, request: SyncRequest) -> None:
    """Check that a program exists, before anything is fetched. Raises `TreeError`."""
    if shutil.which(program) is None:
        raise missing_program(request.name, program, _PACKAGES[program])


def _failed(words: Sequence[str], request: SyncRequest, said: str) -> SyncProgramError:
    said = _PASSWORD.sub("://", said)
    return SyncProgramError(
        request.name, words[0], shown(request.sync.uri) or request.sync.type, said
    )
