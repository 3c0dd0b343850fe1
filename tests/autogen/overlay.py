"""A repository that `cloche autogen run` keeps up to date from servers on loopback."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from tests.autogen.forge import Forge
from tests.autogen.published import Index

from cloche.cli.main import cli


@dataclass
class Overlay:
    index: Index
    forge: Forge
    repository: Path
    room: Path

    def list(self, text: str) -> None:
        """Write autogen.toml."""
        (self.room / "autogen.toml").write_text(f'repository = "repo"\n{text}')

    def words(self, *words: str) -> list[str]:
        """The command line of a run."""
        index, forge = f"{self.index.address}/simple/", self.forge.address
        addresses = ("--index-url", index, "--api-url", forge)
        given = (*addresses, "--distdir", str(self.room / "dist"))
        return ["-C", str(self.room), "autogen", "run", *given, *words]

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(cli, self.words(*words))

    def report(self, *words: str, status: int = 0) -> dict[str, dict[str, Any]]:
        """Run; what the report says of each package."""
        done = self.run("--json", *words)
        assert done.exit_code == status, (done.output, done.exception)
        return {each["package"]: each for each in json.loads(done.stdout)["packages"]}

    def results(self, *words: str, status: int = 0) -> dict[str, str]:
        found = self.report(*words, status=status)
        return {name: each["result"] for name, each in found.items()}

    def snapshot(self) -> dict[str, tuple[bytes, int]]:
        return {
            str(path.relative_to(self.repository)): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in self.repository.rglob("*")
            if path.is_file()
        }

    def ebuilds(self) -> set[str]:
        return {path.stem for path in self.repository.glob("*/*/*.ebuild")}
