"""Installs Portage in the new tree and removes traces of the host, in a sandbox.

The Debian tree is the sandbox's lower directory; what `prepare.sh` writes over it lands in the
upper, which is then merged into the tree, so that a seed is one layer.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from cloche.layers import capture, flatten
from cloche.linux import descriptors
from cloche.sandbox.base import Bind, Command, Ended, Engine, Limits, Sandbox
from cloche.sandbox.copying import lines
from cloche.seeds.arch import Arch
from cloche.seeds.debian.bootstrap import EPOCH, Report, last_lines, step_failed
from cloche.store import remove_tree

_SCRIPT = "/run/cloche/prepare.sh"
_SDIST = "/run/cloche/portage.tar.gz"
_INSTALL_XATTR = "/run/cloche/install-xattr"
_TIMEOUT = 900.0  # seconds; 10 are usual
_STEP = b"step: "


def install(
    engine: Engine,
    tree: Path,
    upper: Path,
    sdist: Path,
    arch: Arch,
    log: Path,
    report: Report = lambda text: None,
) -> None:
    """Install ``sdist`` in ``tree`` and make the tree independent of host and day.

    ``upper`` is an empty directory on the tree's file system, for scratch. The tree is then
    another directory of the same name. Raises `SeedError`, and what the engine raises.
    """
    ours = files("cloche.seeds.debian")
    with (
        as_file(ours.joinpath("prepare.sh")) as script,
        as_file(ours.joinpath("install-xattr")) as install_xattr,
    ):
        ended = _run(
            engine,
            Sandbox(
                lowers=(tree,),
                upper=upper,
                binds=(
                    Bind(script, _SCRIPT),
                    Bind(sdist, _SDIST),
                    Bind(install_xattr, _INSTALL_XATTR),
                ),
                limits=Limits(processes=None),
            ),
            Command(
                ("/bin/bash", _SCRIPT),
                env={
                    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                    "HOME": "/root",
                    "LC_ALL": "C.UTF-8",
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "SOURCE_DATE_EPOCH": str(EPOCH),
                    "CHOST": arch.chost,
                    "SDIST": _SDIST,
                    "INSTALL_XATTR": _INSTALL_XATTR,
                },
                timeout=_TIMEOUT,
            ),
            log,
            report,
        )
    if not ended.ok:
        text = "\n".join(last_lines(log))
        raise step_failed("the preparation of the seed", ended.status, log, text)
    report("merging Portage into the tree")
    _merge(tree, upper)


def _merge(tree: Path, upper: Path) -> None:
    """Make ``tree`` what an overlay of it and ``upper`` shows; files are linked, not copied."""
    written, merged = upper / "written", upper / "merged"
    capture(upper / "top", (tree,), written)
    merged.mkdir()
    flatten((tree, written), merged)
    remove_tree(tree)
    remove_tree(written)
    merged.rename(tree)


def _run(engine: Engine, sandbox: Sandbox, command: Command, log: Path, report: Report) -> Ended:
    """Run the command, its words into the log, its steps to ``report``."""
    reading, writing = descriptors.pipe()
    with open(reading, "rb") as words, log.open("ab") as kept:
        try:
            process = engine.start(sandbox, command, stdout=writing, stderr=writing)
        finally:
            descriptors.close(writing)
        try:
            for line in lines(words.fileno()):
                kept.write(line)
                kept.flush()
                if line.startswith(_STEP):
                    report(line[len(_STEP) :].decode(errors="replace").strip())
            ended = process.wait()
        except BaseException:
            process.kill()
            raise
    if ended is None:  # only with a timeout
        raise AssertionError
    return ended
