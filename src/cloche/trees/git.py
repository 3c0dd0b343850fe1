"""Syncs repositories with git: one commit of a bare clone in the cache, checked out without .git.

The user's and the system's configuration are not read, hooks and filters do not run, submodules are
left out: a repository cannot execute anything here.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
from pathlib import Path

from cloche.config.lock import RepoPin
from cloche.fetching.download import shown
from cloche.fetching.errors import SignatureError
from cloche.fetching.openpgp import opened
from cloche.trees.errors import SyncProgramError, TreeError
from cloche.trees.methods import SyncContext, SyncRequest
from cloche.trees.programs import output_of, watched

_TIP = "refs/cloche/tip"
_SETTINGS = "cloche.config"
_CREDENTIALS = "cloche.credentials"
#: With a GIT_CONFIG_GLOBAL of its own, git reads neither the user's configuration nor the system's.
ENV = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
    "GIT_ADVICE": "0",
    "GIT_NO_LAZY_FETCH": "1",
}
_CONFIG = {
    "core.hooksPath": "/dev/null",
    "core.attributesFile": "/dev/null",
    "core.autocrlf": "false",
    "core.symlinks": "true",
    "core.fsmonitor": "false",
    "gc.autoDetach": "false",
    "maintenance.autoDetach": "false",
    "http.lowSpeedLimit": "1",  # bytes a second,
    "http.lowSpeedTime": "60",  # for so many seconds
}


def newest(request: SyncRequest, context: SyncContext) -> RepoPin:
    """Fetch the tip of the branch, or of the default one."""
    bare = _bare(request, context)
    branch = request.sync.branch
    context.report(f"fetching {shown(request.sync.uri)} {branch}".rstrip())
    _fetch(request, context, bare, f"refs/heads/{branch}" if branch else "HEAD")
    tip = output_of(
        command(bare, "rev-parse", "--verify", f"{_TIP}^{{commit}}"), request, env=_env(bare)
    )
    return RepoPin("git", "", commit=tip.decode().strip())


def taken(
    request: SyncRequest, pin: RepoPin, room: Path, context: SyncContext
) -> tuple[Path, RepoPin]:
    """Check out a commit."""
    bare = _bare(request, context)
    if not _has(request, bare, pin.commit):
        context.report(f"fetching the commit {pin.commit[:12]} of {shown(request.sync.uri)}")
        _fetch_commit(request, context, bare, pin.commit)
    if request.sync.verify:
        context.report("checking the commit's signature")
        _check_signature(request, context, bare, pin.commit, room)
    context.report(f"checking out the commit {pin.commit[:12]}")
    tree = room / "checkout"
    tree.mkdir()
    env = {**_env(bare), "GIT_INDEX_FILE": str(room / "index")}
    output_of(command(bare, "read-tree", pin.commit), request, env=env)
    words = ("--work-tree", str(tree), "checkout-index", "--all", "--quiet")
    output_of(command(bare, *words), request, env=env, cwd=tree)
    return tree, pin


def command(bare: Path, *words: str) -> list[str]:
    """The command line of git for a repository whose settings must not run programs here."""
    settings = [word for key, value in _CONFIG.items() for word in ("-c", f"{key}={value}")]
    return ["git", *settings, "--git-dir", str(bare), *words]


def settings(bare: Path, address: str) -> str:
    """Write the settings of git for a clone; returns the address without user and password.

    Others can read command lines: git asks git-credential-store(1) for what an address has of them.
    """
    # A remote on this host may be another user's (git-config(1), safe.directory): it is only read.
    text = "[safe]\n\tdirectory = *\n"
    file = bare.absolute() / _CREDENTIALS
    file.unlink(missing_ok=True)
    scheme, mark, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    user, at, name = host.rpartition("@")
    if at and scheme in ("http", "https"):
        secret = user if ":" in user else f"{user}:"
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as new:
            new.write(f"{scheme}{mark}{secret}@{name}\n")
        helper = f"store --file={shlex.quote(str(file))}".replace("\\", r"\\").replace('"', r"\"")
        text += f'[credential]\n\thelper = "{helper}"\n'
        address = f"{scheme}{mark}{name}{slash}{path}"
    (bare / _SETTINGS).write_text(text)
    return address


def _env(bare: Path) -> dict[str, str]:
    """The environment of git, and of a git that it starts for a local remote."""
    return {**ENV, "GIT_CONFIG_GLOBAL": str(bare / _SETTINGS)}


def _bare(request: SyncRequest, context: SyncContext) -> Path:
    """The bare clone in the cache, made if it is missing."""
    digest = hashlib.sha256(f"{request.name}\0{request.sync.uri}".encode()).hexdigest()[:16]
    bare = context.cache / f"git-{request.name}-{digest}"
    bare.mkdir(exist_ok=True)
    os.utime(bare)  # it is in use
    settings(bare, request.sync.uri)
    # No other process works here: locks were left by a killed git.
    for stale in (*bare.glob("*.lock"), *bare.glob("refs/cloche/*.lock")):
        stale.unlink()
    output_of(
        command(bare, "init", "--bare", "--quiet", "--template=", str(bare)),
        request,
        env=_env(bare),
    )
    return bare


def _fetch(request: SyncRequest, context: SyncContext, bare: Path, name: str, *more: str) -> None:
    words = ["fetch", "--progress", "--no-tags", "--no-write-fetch-head", "--force",
             "--no-recurse-submodules", *(more or ("--depth=1",))]  # fmt: skip
    watched(
        command(bare, *words, "--", settings(bare, request.sync.uri), f"{name}:{_TIP}"),
        request,
        context,
        env=_env(bare),
    )


def _fetch_commit(request: SyncRequest, context: SyncContext, bare: Path, commit: str) -> None:
    """Fetch one commit, or the whole branch if the server refuses that. Raises TreeError."""
    try:
        _fetch(request, context, bare, commit)
    except SyncProgramError:
        branch = request.sync.branch
        name = f"refs/heads/{branch}" if branch else "HEAD"
        shallow = (bare / "shallow").exists()
        _fetch(request, context, bare, name, "--unshallow" if shallow else "--no-auto-gc")
        if not _has(request, bare, commit):
            raise TreeError(
                request.name,
                f"{shown(request.sync.uri)} does not give the commit {commit[:12]}, "
                "which cloche.lock pins",
                todo=f"use another mirror, or update with `cloche repo sync {request.name}`",
            ) from None


def _has(request: SyncRequest, bare: Path, commit: str) -> bool:
    with contextlib.suppress(SyncProgramError):
        output_of(command(bare, "cat-file", "-e", f"{commit}^{{tree}}"), request, env=_env(bare))
        return True
    return False


def _check_signature(
    request: SyncRequest, context: SyncContext, bare: Path, commit: str, room: Path
) -> None:
    """Check the signature in a commit's ``gpgsig`` header. Raises `SignatureError`."""
    content = output_of(command(bare, "cat-file", "commit", commit), request, env=_env(bare))
    source = f"commit {commit[:12]} of {request.name}"
    check_signed(content, source, request.keyring(context), room)


def check_signed(commit: bytes, source: str, keys: Path, room: Path) -> None:
    """Check the signature in a commit's text. Two files are written to the directory ``room``.

    Raises `SignatureError`.
    """
    payload, signature = signed_parts(commit)
    if not signature:
        raise SignatureError(source, "not signed", keys)
    files = room / "payload", room / "signature"
    files[0].write_bytes(payload)
    files[1].write_bytes(signature)
    with opened(keys) as keyring:
        keyring.check(*files, source)


def signed_parts(commit: bytes) -> tuple[bytes, bytes]:
    """The signed part of a commit's text, and the signature (gitformat-signature(5))."""
    head, blank, message = commit.partition(b"\n\n")
    payload, signature, inside = [], [], False
    for line in head.split(b"\n"):
        inside = line.startswith(b"gpgsig ") or (inside and line.startswith(b" "))
        if inside:
            signature.append(line.removeprefix(b"gpgsig").removeprefix(b" "))
        else:
            payload.append(line)
    text = b"".join(line + b"\n" for line in signature)
    return b"\n".join(payload) + blank + message, text
