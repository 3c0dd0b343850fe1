"""Noise in what Portage writes: differences between builds that have no meaning.

The VDB (``/var/db/pkg/CATEGORY/PF/``) is described in Portage's ``portage.dbapi.vartree``; the
lines of CONTENTS are ``dir PATH``, ``obj PATH MD5 MTIME``, ``sym PATH -> TARGET MTIME``, ``dev
PATH`` and ``fif PATH``, where paths may contain spaces.
"""

from __future__ import annotations

from types import MappingProxyType

from cloche.layers.identity import Rules


def nothing_counts(content: bytes) -> bytes:
    """The file has to exist; its content does not count."""
    return b""


def left_out(content: bytes) -> None:
    """The file does not count at all."""
    return


def sorted_lines(content: bytes) -> bytes:
    """Lines whose order has no meaning: it is that of the file system or of parallel jobs."""
    return b"".join(line + b"\n" for line in sorted(content.splitlines()))


def without_comments(content: bytes) -> bytes:
    """An ebuild without comment lines and blank lines.

    Lines of here-documents that look like comments are removed, too; ``environment.bz2`` keeps
    the same text within its functions.
    """
    lines = (line.rstrip() for line in content.split(b"\n"))
    return b"".join(line + b"\n" for line in lines if line and not line.lstrip().startswith(b"#"))


def without_times(content: bytes) -> bytes:
    """CONTENTS without the MTIME column, in a fixed order."""
    return sorted_lines(b"\n".join(map(_without_time, content.split(b"\n"))))


def _without_time(line: bytes) -> bytes:
    """The time is the last word of ``obj`` and ``sym`` lines, and no other line has one."""
    kind = line.split(b" ", 1)[0]
    head, _, last = line.rpartition(b" ")
    return head if kind in (b"obj", b"sym") and last.isdigit() else line


PORTAGE_RULES: Rules = MappingProxyType(
    {
        "var/db/pkg/*/*/COUNTER": left_out,  # the order of merges, which every root gives anew
        "var/db/pkg/*/*/BUILD_TIME": nothing_counts,
        "var/db/pkg/*/*/BINPKGMD5": nothing_counts,  # of a GPKG, which holds times
        "var/db/pkg/*/*/CONTENTS": without_times,
        "var/db/pkg/*/*/NEEDED": sorted_lines,
        "var/db/pkg/*/*/NEEDED.ELF.2": sorted_lines,
        "var/db/pkg/*/*/*.ebuild": without_comments,
        "etc/portage/mirrors": left_out,  # names a mirror of the host
    }
)
"""The rules for every tree that Portage has written to."""
