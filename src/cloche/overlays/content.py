"""Files of an overlay on their way: names that are allowed, links that stay inside, and trees."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cloche.overlays.errors import not_taken
from cloche.overlays.source import LINK, PROGRAM, REGULAR, Entry, object_id

_DEEP = 16  # parts of a path
_LONG = 240  # bytes of a name


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
            part in ("", ".", "..") or part.lower() == ".git" or len(part) > _LONG for part in parts
        ):
            raise not_taken(overlay, f"{path!a} is not a path that is taken")
        if entry.mode not in (REGULAR, PROGRAM, LINK):
            raise not_taken(overlay, f"{path} is of a kind that is not taken (mode {entry.mode})")


def check_links(overlay: str, files: Files) -> None:
    """Refuse links that lead out of what is taken. Raises OverlayError."""
    directories = {str(above) for path in files for above in Path(path).parents}
    for path, file in files.items():
        if file.mode != LINK:
            continue
        target = file.content.decode("ascii", "replace")
        meant = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        inside = target.isprintable() and not target.startswith("/")
        if not inside or (meant not in files and meant not in directories):
            raise not_taken(
                overlay,
                f"{path} is a link to {target[:80]!a}, which is not among what is taken",
                "take the whole overlay, or tell its owner",
            )


def write_files(top: Path, files: Files) -> None:
    """Write files into a new directory, world-readable whatever the umask is. Raises OSError."""
    made = set()
    top.mkdir(exist_ok=True)
    top.chmod(0o755)
    for path, file in sorted(files.items()):
        for above in reversed(Path(path).parents):
            if above not in made:
                (top / above).mkdir(exist_ok=True)
                (top / above).chmod(0o755)
                made.add(above)
        place = top / path
        if file.mode == LINK:
            place.symlink_to(file.content.decode())
        else:
            place.write_bytes(file.content)
            place.chmod(0o755 if file.mode == PROGRAM else 0o644)


def plain(content: str | bytes) -> File:
    """A regular file."""
    return File(REGULAR, content.encode() if isinstance(content, str) else content)


def below(files: Iterable[str], top: str) -> list[str]:
    """The paths that are below a directory."""
    return [path for path in files if path.startswith(f"{top}/")]
