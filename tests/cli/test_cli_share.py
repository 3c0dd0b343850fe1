"""Completion as installed, tried in the three shells."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import ROOT, cannot, packages
from tests.terminal import Tmux

from cloche.cli import share
from cloche.cli.manual import Release

#: How each shell starts in a terminal; its files are in its home.
STARTS = {"bash": "bash --rcfile .bashrc -i", "zsh": "zsh -i", "fish": "fish -i"}
FILES = {
    ".bashrc": "for each in {share}/bash-completion/completions/*; do source $each; done\n",
    ".zshrc": "fpath=({share}/zsh/site-functions $fpath); autoload -U compinit; compinit -D -u\n",
}
RELEASE = Release("1.2.3", "2026-11-28")


@pytest.fixture
def place() -> Iterator[Path]:
    """A home with `share`, and `cloche` in `bin`. Its path is short because it holds a socket."""
    with tempfile.TemporaryDirectory(prefix="share-") as directory:
        place = Path(directory)
        share.write(place / "share", RELEASE)
        (place / "bin").mkdir()
        for name, start in (("cloche", "run"), ("olm", "olm")):
            program = place / "bin" / name
            run = f"from cloche.cli.__main__ import {start}; {start}()"
            path = f"{ROOT}/src:{packages()}"
            program.write_text(
                f"#!/bin/sh\nPYTHONPATH={path} exec {sys.executable} -c '{run}' \"$@\"\n"
            )
            program.chmod(0o755)
        for name, text in FILES.items():
            (place / name).write_text(text.format(share=place / "share"))
        yield place


@pytest.mark.parametrize("shell", STARTS)
def test_words_are_completed(shell: str, place: Path) -> None:
    for tool in (shell, "tmux"):
        if shutil.which(tool) is None:
            cannot(f"{tool} is not installed")
    variables = (
        f"HOME={place} XDG_DATA_DIRS={place}/share PATH={place}/bin:/usr/bin:/bin TERM=screen"
    )
    window = Tmux(
        str(place / "tmux"), 100, 30, f"cd {place} && exec env -i {variables} {STARTS[shell]}"
    )
    try:
        window.keys("cloche bui", "Tab")
        window.wait("cloche build", seconds=60)
        window.keys("x --keep-g", "Tab")  # the second Tab takes another way through the script
        window.wait("cloche build x --keep-going", seconds=60)
        window.keys("C-u", "olm upd", "Tab")
        window.wait("olm update", seconds=60)
    finally:
        window.close()


def test_a_file_is_written_for_every_shell_and_command(tmp_path: Path) -> None:
    share.write(tmp_path, RELEASE)
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == share.files(RELEASE).keys()
    for program in ("cloche", "olm"):
        assert {each.format(program) for each in share.PLACES.values()} <= written
    pages = {"cloche.1", "cloche-store-gc.1", "olm.1", "olm-update.1"}
    assert {f"man/man1/{each}" for each in pages} <= written
    assert "cloche overlay" not in (tmp_path / "man/man1/olm-add.1").read_text()
