"""Removes the project of a spec below storedir; its outputs stay."""

from __future__ import annotations

import shutil
from pathlib import Path

from cloche.catalyst.conf import Conf
from cloche.catalyst.spec import Spec
from cloche.output.claim import MARKER
from cloche.releng.build import check_places, directory_of
from cloche.releng.projects import claimed


def to_purge(spec: Spec, conf: Conf) -> Path | None:
    """The directory that a purge removes; None if it does not exist, or cloche did not make it.

    Raises `ConfigError` if the spec leads outside of storedir.
    """
    check_places(spec, conf)
    directory = directory_of(spec, conf)
    marker = directory / MARKER
    return directory if marker.is_file() and not marker.is_symlink() else None


def purge_spec(spec: Spec, conf: Conf) -> Path | None:
    """Remove the project of a spec; the next build writes it again. Raises ClocheError, OSError.

    It is locked and renamed before it is removed, so that no build begins in it.
    """
    directory = to_purge(spec, conf)
    if directory is None or directory.is_symlink():
        return None
    with claimed(directory):
        gone = directory.with_name(f".{directory.name}.purged")
        shutil.rmtree(gone, ignore_errors=True)  # of a purge that was killed
        directory.rename(gone)
        shutil.rmtree(gone)
    return directory
