"""What earlier runs did: a line of JSON for each package, the last one counts.

A line is written when its package is done, so that an interrupted run goes on where it was; one
that was cut off counts as absent.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True, slots=True)
class Done:
    """A package that was written: for which state of upstream's, and with which options.

    ``refused`` is the reason of one that was not, ``tried`` when that was (seconds of the epoch),
    and ``cpvs`` the ebuilds that it had before.
    """

    package: str
    state: str
    options: str
    cpvs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    refused: str = ""
    tried: int = 0


class Record(contextlib.AbstractContextManager["Record"]):
    """The record of a repository, in a directory ``cache``."""

    def __init__(self, cache: Path, repository: Path) -> None:
        name = hashlib.sha256(os.fsencode(repository.resolve())).hexdigest()[:16]
        self._path = cache / f"{repository.name}-{name}.jsonl"
        self._found: dict[str, Done] = {}
        self._stream: IO[str] | None = None

    def __enter__(self) -> Record:
        with contextlib.suppress(FileNotFoundError):
            text = self._path.read_text(encoding="utf-8", errors="replace")
            for line in text.splitlines():
                if (done := _read(line)) is not None:
                    self._found[done.package] = done
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()

    def of(self, package: str) -> Done | None:
        """What was done for a package the last time."""
        return self._found.get(package)

    def take(self, done: Done) -> None:
        """Write down that a package is done. Raises OSError."""
        if self._stream is None:
            self._stream = self._begun()
        self._found[done.package] = done
        self._stream.write(json.dumps(asdict(done)) + "\n")
        self._stream.flush()

    def _begun(self) -> IO[str]:
        """Write the record anew, without lines that later ones have replaced."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        text = "".join(f"{json.dumps(asdict(done))}\n" for done in self._found.values())
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self._path)
        return self._path.open("a", encoding="utf-8")


def _read(line: str) -> Done | None:
    try:
        data = json.loads(line)
        package, state, options = (str(data[key]) for key in ("package", "state", "options"))
        cpvs, notes = (tuple(map(str, data[key])) for key in ("cpvs", "notes"))
        refused, tried = str(data.get("refused", "")), int(data.get("tried", 0))
        return Done(package, state, options, cpvs, notes, refused, tried)
    except (ValueError, KeyError, TypeError):
        return None
