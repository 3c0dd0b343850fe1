"""Reads a machine's secrets, and writes its tarball with them.

That tarball goes to its user and not into the store. Everything happens in this process: a secret
is in no sandbox, and in no file but the tarball.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cloche.archives.compression import check_program, packed
from cloche.archives.decompression import unpacked
from cloche.config.errors import ConfigError
from cloche.config.kernel_signing import Signing
from cloche.config.machine import Machine
from cloche.config.secrets import Secret
from cloche.errors import Exit
from cloche.output.claim import alone
from cloche.output.sealed import Revealed, Sealing
from cloche.output.signature import check_openssl, signer

LIMIT = 1 << 20  # bytes
TIMEOUT = 300.0  # seconds for a command, which may ask its user
_OWN = 0o600  # the mode of a tarball with secrets
_HASH = re.compile(rb"\$[A-Za-z0-9]+\$[!-9;-~]+|[!*]")  # crypt(5)


def check_secrets(machine: Machine) -> None:
    """See that secrets can be read and used, before any work. Raises ClocheError."""
    if signing := _signing(machine):
        check_openssl(signing)
    if machine.secrets and "stage4" not in machine.outputs:
        what = "secrets go into the tarball, and the machine makes none"
        raise ConfigError(machine.secrets[0].origin, what, "add `stage4 = true` to [output]")
    for each in all_secrets(machine):
        if each.file is not None and each.file.is_dir():
            what = f"{each.title}: {each.file} is a directory"
            raise ConfigError(each.origin, what, "name a file")
        if each.file is not None and not os.access(each.file, os.R_OK):
            there = each.file.exists()
            what = f"{each.title}: {each.file} {'cannot be read' if there else 'is not there'}"
            raise ConfigError(each.origin, what, status=Exit.HOST if there else None)
        if each.command and shutil.which(each.command[0]) is None:
            raise ConfigError(each.origin, f"{each.title}: there is no program {each.command[0]}")
    if machine.secrets:
        check_program(machine.compression)


def all_secrets(machine: Machine) -> tuple[Secret, ...]:
    """What gets into a machine's tarball, and the key of its modules."""
    signing = _signing(machine)
    return (*machine.secrets, *((signing.key,) if signing else ()))


def _signing(machine: Machine) -> Signing | None:
    return machine.kernel.signing if machine.kernel else None


def reveal(machine: Machine) -> tuple[Revealed, ...]:
    """Read a machine's secrets. Their commands may use the terminal: nothing else should then.

    Raises ClocheError, which shows none of them.
    """
    check_secrets(machine)
    found = tuple(Revealed(each, _revealed(each)) for each in all_secrets(machine))
    if signing := _signing(machine):
        with signer(signing, found[-1].content) as own:
            own.check()
    return found


def seal(plain: Path, target: Path, compression: str, revealed: Sequence[Revealed]) -> None:
    """Write a machine's tarball with its secrets, which its owner alone may read.

    The caller has the directory for itself (`cloche.output.claim.alone`). Raises ClocheError,
    OSError.
    """
    aside = target.with_name(f".{target.name}.sealed")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWN)
    try:
        with (
            open(descriptor, "wb") as file,
            unpacked(plain) as source,
            packed(file, compression) as stream,
        ):
            Sealing(source, stream, plain, revealed).run()
        aside.rename(target)
    finally:
        aside.unlink(missing_ok=True)


def is_sealed(target: Path) -> bool:
    """Whether a tarball is there that `seal` wrote: all others may be read by everybody."""
    return target.is_file() and stat.S_IMODE(target.stat().st_mode) == _OWN


def sweep(directory: Path) -> None:
    """Remove what processes that were killed left beside a tarball; there may be secrets in it."""
    with alone(directory):
        for path in directory.glob(".stage4.tar*"):
            path.unlink()


def _revealed(secret: Secret) -> bytes:
    """A file's bytes, or a password's hash without a line's end. Raises ConfigError."""
    content = _content(secret)
    if len(content) > LIMIT:
        raise ConfigError(secret.origin, f"{secret.title}: larger than {LIMIT >> 10} KiB")
    if not content.strip():
        raise ConfigError(secret.origin, f"{secret.title}: {secret.source} gives nothing")
    if not secret.user:
        return content
    content = content.strip()
    if not _HASH.fullmatch(content):
        what = f"{secret.title}: what {secret.source} gives is not a hash of crypt(5)"
        raise ConfigError(secret.origin, what, "make one by `openssl passwd -6`")
    return content


def _content(secret: Secret) -> bytes:
    try:
        if secret.file is not None:
            with secret.file.open("rb") as file:
                return file.read(LIMIT + 1)
        done = subprocess.run(
            secret.command, stdin=None, stdout=subprocess.PIPE, timeout=TIMEOUT, check=True
        )
    except OSError as error:
        what = f"{secret.title}: {secret.source}: {error.strerror}"
        raise ConfigError(secret.origin, what, status=Exit.HOST) from error
    except subprocess.TimeoutExpired as error:
        what = f"{secret.title}: {secret.source} did not end within {TIMEOUT:.0f} s"
        raise ConfigError(secret.origin, what) from error
    except subprocess.CalledProcessError as error:
        what = f"{secret.title}: {secret.source} ended with status {error.returncode}"
        raise ConfigError(secret.origin, what) from error
    return done.stdout
