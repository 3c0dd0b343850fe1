"""Makes trees from untrusted tarballs and directories."""

from __future__ import annotations

from cloche.archives.errors import ImportRefusedError
from cloche.archives.extraction import ImportOptions, Limits
from cloche.archives.replacing import replace_directory
from cloche.archives.tarball import ImportReport, import_directory, import_tarball

__all__ = [
    "ImportOptions",
    "ImportRefusedError",
    "ImportReport",
    "Limits",
    "import_directory",
    "import_tarball",
    "replace_directory",
]
