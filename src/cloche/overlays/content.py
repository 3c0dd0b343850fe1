"""Files of an overlay on their way: names that are allowed, links that stay inside, and trees."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cloche.overlays.errors import not_taken
from cloche.overlays.source import LINK, PROGRAM, REGULAR, Entry, below_another, object_id

_DEEP = 16  # parts of a path
_LONG = 240  # bytes of a name
_TOP = PurePosixPath(".")


@dataclass(frozen=True, slots=True)
class File:
    """A file: its mode as git has it, and its content, of a link the target."""

    mode: str
    content: bytes

    @property
    def id(self) -> str:
        """What tells it from others: the mode and git's id of the content."""
        return f"{self.mode}:{object_id(self.content)}"


Files = Mapping[str, File]


def check_names(overlay: str, entries: Mapping[str, Entry]) -> None:
    """Refuse names and kinds of files that no ebuild repository has. Raises OverlayError."""
    for path, entry in entries.items():
        parts = path.split("/")
        if not path.isprintable():  # nor is what is not UTF-8
            raise not_taken(overlay, f"{path!a} is not a name of a file that is taken")
        if len(parts) > _DEEP or any(
            part in ("", ".", "..") or part.lower() == ".git" or len(os.fsencode(part)) > _LONG
            for part in parts
        ):
            raise not_taken(overlay, f"{path!a} is not a path that is taken")
        if entry.mode not in (REGULAR, PROGRAM, LINK):
            raise not_taken(overlay, f"{path} is of a kind that is not taken (mode {entry.mode})")


def check_links(overlay: str, files: Files) -> None:
    """Refuse links that lead out of what is taken, and files below files. Raises OverlayError."""
    if wrong := below_another(files):
        raise not_taken(overlay, f"{wrong!a} is below a path that is no directory")
    directories = {str(above) for path in files for above in Path(path).parents}
    for path, file in files.items():
        if file.mode != LINK:
            continue
        target = file.content.decode("ascii", "replace")
        if not target.isprintable() or not _leads_inside(path, target, files, directories):
            raise not_taken(
                overlay,
                f"{path} is a link to {target[:80]!a}, which is not among what is taken",
                "take the whole overlay, or tell its owner",
            )


def _leads_inside(path: str, target: str, files: Files, directories: Collection[str]) -> bool:
    """Whether the target of a link is there, each step of the way a directory: no other link."""
    if not target or target.startswith("/"):
        return False
    place = PurePosixPath(path).parent
    *steps, last = target.split("/")
    for step in steps:
        if step == ".." and place == _TOP:
            return False
        place = place.parent if step == ".." else place / step
        if str(place) not in directories:
            return False
    if last == "..":
        return place != _TOP
    return not last or (found := str(place / last)) in files or found in directories


def write_files(top: Path, files: Files) -> None:
    """Write files into a new directory, world-readable whatever the umask is. Raises OSError.

    Each directory and file has to be new, so that nothing is written through a link.
    """
    made = {_TOP}
    top.mkdir()
    top.chmod(0o755)
    for path, file in sorted(files.items()):
        for above in reversed(PurePosixPath(path).parents):
            if above not in made:
                (top / above).mkdir()
                (top / above).chmod(0o755)
                made.add(above)
        place = top / path
        if file.mode == LINK:
            place.symlink_to(file.content.decode())
            continue
        with place.open("xb") as new:
            new.write(file.content)
            os.fchmod(new.fileno(), 0o755 if file.mode == PROGRAM else 0o644)


def plain(content: str | bytes) -> File:
    """A regular file."""
    return File(REGULAR, content.encode() if isinstance(content, str) else content)
