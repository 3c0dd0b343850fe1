"""The files below `share/` of an installation: the manual, and completion for three shells.

`python -m cloche.cli.share DIRECTORY` writes it; `make man`, `make dist` and the live ebuild do.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from cloche.cli.init import SHELLS, completion_script
from cloche.cli.main import cli, olm
from cloche.cli.manual import Release, contexts, page, page_name
from cloche.version import version

#: Where each shell looks for the completion of a program.
PLACES = {
    "bash": "bash-completion/completions/{}",
    "zsh": "zsh/site-functions/_{}",
    "fish": "fish/vendor_completions.d/{}.fish",
}

#: zsh loads the file at the first Tab, which click's script answers. At the second Tab the script
#: would only register its function again.
ENDS = {"zsh": "compdef _{0}_completion {0}\n"}


def files(release: Release) -> dict[str, str]:
    """Each file's text by its path below `share/`."""
    found: dict[str, str] = {}
    for program, group in (("cloche", cli), ("olm", olm())):
        for context in contexts(group, program):
            found[f"man/man1/{page_name(context)}.1"] = page(context, release)
        for shell in SHELLS:
            script = completion_script(group, shell, program)
            end = ENDS.get(shell, "").format(program)
            found[PLACES[shell].format(program)] = f"{script}\n{end}"
    return found


def write(directory: Path, release: Release) -> None:
    """Write the files below a directory. Raises OSError."""
    for name, text in files(release).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def main() -> None:
    """Write the files; their date is SOURCE_DATE_EPOCH, or today."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--version", default=version(), help="version on the pages")
    given = parser.parse_args()
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    date = time.strftime("%Y-%m-%d", time.gmtime(seconds))
    write(given.directory, Release(given.version, date))


if __name__ == "__main__":
    main()
