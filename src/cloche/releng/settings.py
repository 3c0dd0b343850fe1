"""The settings of a run of catalyst-auto's configuration that the caller chooses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cloche.session.choices import Choices


@dataclass(frozen=True, slots=True)
class Settings:
    """The caller's choices.

    ``files`` are those of the configuration, ``here`` is where relative paths in specs begin,
    ``confs`` are catalyst.conf's files (empty: the one that the configuration names), ``tokens``
    the values of tokens, ``only`` the specs or sets to build.

    At most ``slots`` packages, of all specs together, and as many specs are built at once. Without
    ``network``, hooks only report what they would upload. With ``update``, inputs are used as they
    are now, not as they were when the run began. ``also`` is the program of catalyst, if that is to
    build the specs, too. With ``provenance``, each output gets a statement of what it was made
    from.
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
