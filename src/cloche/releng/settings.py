"""What a caller chooses for a run of catalyst-auto's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cloche.session.choices import Choices


@dataclass(frozen=True, slots=True)
class Settings:
    """What a caller chooses. ``files`` are the configuration's, ``here`` is where relative
    paths in specs begin, ``confs`` are catalyst.conf's files (empty: as the configuration says),
    ``tokens`` values of tokens, ``only`` the specs or sets to build.

    ``slots`` packages are built at once, in all specs, and as many specs. Without ``network``
    hooks only say what they would upload. ``update`` takes inputs as they are now, not as they
    were when the run began. ``also`` is the program of catalyst, to build with it, too.
    With ``provenance`` each output gets a statement of what it was made from.
    """

    files: tuple[Path, ...]
    here: Path
    confs: tuple[Path, ...] = ()
    treeish: str | None = None
    tokens: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    slots: int = 1
    choices: Choices = Choices()
    network: bool = True
    update: bool = False
    also: str | None = None
    provenance: bool = False
