"""Finds contradictions within the confdir that a spec names."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from cloche.config import contradictions
from cloche.config.errors import ConfigError
from cloche.config.files import decode, names, read_tree

#: Names in a confdir of the files, or directories of files, in which entries may contradict.
_COMPARED = (
    *("package.use", "package.accept_keywords", "package.keywords", "package.license"),
    *("package.mask", "package.unmask", "package.properties", "package.accept_restrict"),
    "package.env",
)


@lru_cache(maxsize=64)
def contradiction_in(confdir: Path) -> ConfigError | None:
    """The first contradiction between two files of a confdir, or the first error in one of them.

    Within one file the last line counts, as in Portage.
    """
    try:
        contradictions.check(_files(confdir))
    except ConfigError as error:
        return error
    return None


def _files(confdir: Path) -> Iterator[tuple[str, contradictions.Texts]]:
    for name in names(confdir):
        if name in _COMPARED:
            for _, path, content in read_tree(confdir / name, confdir):
                yield str(path), ((name, path, decode(content, path)),)
