"""The tools seed: a small Debian with the programs that pack, instead of those of the host.

It is declared like any seed, made on demand, and found again by its declaration, so all specs and
snapshots of a store share it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cloche.catalyst.conf import Conf
from cloche.catalyst.paths import store_path
from cloche.catalyst.tools import NAME, seed
from cloche.config.files import replace_text
from cloche.config.project import FILE, load_project
from cloche.config.toml import dumps
from cloche.errors import ClocheError, Exit
from cloche.layers import stored_layer
from cloche.records.events import Note
from cloche.releng.opening import Opening
from cloche.sandbox.base import Bind, Command, Sandbox
from cloche.sandbox.captured import captured
from cloche.session.inputs import Progressing, SeedOptions
from cloche.session.session import Session

_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
_LONGEST = 1 << 20  # bytes of a program's output


@dataclass(frozen=True, slots=True)
class Tools:
    """The programs of a tools seed, in sandboxes without network."""

    session: Session
    root: Path

    def run(self, words: Sequence[str], binds: Sequence[Bind], stdin: int | None = None) -> None:
        """Run a program. Raises ClocheError with the end of its output."""
        sandbox = Sandbox((self.root,), binds=tuple(binds))
        command = Command(tuple(words), _ENVIRONMENT)
        done = captured(self.session.engine, sandbox, command, _LONGEST, stdin)
        if not done.ok:
            what = f"{words[0]} failed" + (f": {done.last_line}" if done.last_line else "")
            where = f"[seeds.{NAME}]"
            raise ClocheError(what, where=where, detail=done.text.strip(), status=Exit.FAILED)


def progress_of(session: Session, name: str) -> Progressing:
    """Reports the progress of making a seed."""
    return Progressing(report=lambda text: session.sink(Note(text=f"{name}: {text}")))


@contextmanager
def opened_tools(conf: Conf, opening: Opening) -> Iterator[Tools]:
    """The tools, of a project of their own below storedir. Raises ClocheError."""
    directory = Path(store_path(conf, "cloche", NAME))
    directory.mkdir(parents=True, exist_ok=True)
    replace_text(directory / FILE, dumps({"seeds": {NAME: seed()}}))
    with opening(load_project(directory)) as session:
        made = session.seed(NAME, SeedOptions(progress=progress_of(session, NAME)))
        yield Tools(session, stored_layer(session.store, made.seed.layer).path)
