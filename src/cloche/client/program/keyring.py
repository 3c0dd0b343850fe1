"""Portage's keyring: whose packages are trusted."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cloche.client.program.problem import Problem


def trust(key: str, home: Path) -> None:
    """Put a key into the keyring with which Portage verifies, as one to be trusted.

    Portage demands that a signature is valid and its key trusted, and runs gpg as an unprivileged
    user (BINPKG_GPG_VERIFY_*, GPG_VERIFY_USER_DROP), who has to be able to read the keyring.
    """
    home.mkdir(mode=0o755, parents=True, exist_ok=True)
    home.chmod(0o755)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--no-tty", "--no-permission-warning"]
    shows = run_gpg([*gpg, "--with-colons", "--import-options", "show-only", "--import"], key)
    fingerprints = primary_fingerprints(shows)
    if not fingerprints:
        raise Problem("the service's public key is not an OpenPGP key")
    run_gpg([*gpg, "--no-autostart", "--import"], key)
    run_gpg([*gpg, "--import-ownertrust"], "".join(f"{each}:6:\n" for each in fingerprints))
    run_gpg([*gpg, "--check-trustdb"])
    for name in ("pubring.kbx", "pubring.gpg", "trustdb.gpg"):
        if (home / name).exists():
            (home / name).chmod(0o644)


def distrust(key: str, home: Path, *, but: str = "") -> None:
    """Remove a key from the keyring with which Portage verifies, unless it is ``but``, too.

    Raises Problem.
    """
    gpg = ["gpg", "--homedir", str(home), "--batch", "--no-tty", "--no-permission-warning"]
    show = [*gpg, "--with-colons", "--import-options", "show-only", "--import"]
    kept = primary_fingerprints(run_gpg(show, but)) if but else []
    for fingerprint in primary_fingerprints(run_gpg(show, key)):
        if fingerprint in kept:
            continue
        with contextlib.suppress(Problem):  # somebody removed it before
            run_gpg([*gpg, "--yes", "--delete-keys", fingerprint])


def primary_fingerprints(colons: str) -> list[str]:
    """The fingerprints of primary keys in what ``gpg --with-colons`` prints."""
    found, primary = [], False
    for line in colons.splitlines():
        kind, *values = line.split(":")
        if kind == "fpr" and primary:
            found.append(values[8])
        primary = kind == "pub" or (primary and kind != "fpr")
    return found


def run_gpg(words: Sequence[str], text: str = "") -> str:
    """Run gpg. Raises Problem."""
    try:
        done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        what = "the service signs its packages, and gpg is not installed"
        raise Problem(what, "emerge app-crypt/gnupg", status=3) from None
    if done.returncode:
        raise Problem(f"gpg failed: {' '.join(words[-2:])}", detail=done.stderr)
    return done.stdout
