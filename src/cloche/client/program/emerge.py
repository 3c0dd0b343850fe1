"""What emerge says about packages, and emerge itself."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cloche.client.program.problem import Problem
from cloche.client.program.reading import load_portage

#: Options of emerge that change what it would install, and that the service knows.
RESOLVING = re.compile(
    r"--(update|deep|newuse|changed-use|changed-deps|changed-slot|emptytree|noreplace|nodeps"
    r"|onlydeps|oneshot|with-bdeps=[yn]|implicit-system-deps=[yn]|complete-graph=[yn])"
)
SHORT = {
    "u": "--update", "D": "--deep", "N": "--newuse", "U": "--changed-use", "n": "--noreplace",
    "O": "--nodeps", "o": "--onlydeps", "1": "--oneshot",
}  # fmt: skip
_ROW = re.compile(r"^\[(ebuild|binary)\b[^\]]*\]\s+([\w+.-]+/[\w+.-]+)", re.MULTILINE)


def spelled_out(words: Iterable[str]) -> list[str]:
    """Options of emerge with short ones written out: ``-uD`` is ``--update --deep``."""
    found = []
    for word in words:
        if re.fullmatch(r"-(?!j\d)[A-Za-z1]+", word):
            found += [SHORT.get(letter, f"-{letter}") for letter in word[1:]]
        else:
            found.append(word)
    return found


def for_trying(options: Iterable[str]) -> list[str]:
    """Options without those that ask, and those that hide what is not built yet."""
    left_out = {"--usepkgonly", "-K", "--getbinpkgonly", "-G", "--ask", "-a"}
    return [each for each in spelled_out(options) if each not in left_out]


def for_resolving(options: Iterable[str]) -> list[str]:
    """Those options that change what emerge would install."""
    return [each for each in dict.fromkeys(spelled_out(options)) if RESOLVING.fullmatch(each)]


def missing_packages(options: Sequence[str], atoms: Sequence[str]) -> list[str]:
    """What emerge would build from source now, because no binary package is there, by CPV.

    Raises Problem with Portage's words where it refuses.
    """
    words = ["emerge", "--pretend", "--quiet", "--nospinner", "--color=n", "--getbinpkg"]
    words += [*options, *atoms]
    environment = {**os.environ, "EMERGE_DEFAULT_OPTS": "", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            check=False, stdin=subprocess.DEVNULL, env=environment,
        )  # fmt: skip
    except FileNotFoundError:
        raise Problem("emerge is not installed", "run cloche-client on Gentoo", status=3) from None
    if done.returncode:
        raise Problem("emerge cannot resolve this", "see its output above", detail=done.stdout)
    return [cpv for kind, cpv in _ROW.findall(done.stdout) if kind == "ebuild"]


def installable(options: Sequence[str], atoms: Sequence[str]) -> bool:
    """Whether emerge installs this if it may build nothing.

    Where the tree has another sub-slot of a library, it would rather build that and the package
    than take the package that is linked with the installed library. With ``--update`` this says
    nothing: what there is no package for is left as it is.
    """
    if "--update" in options:
        return False
    try:
        missing_packages(["--usepkgonly", *options], atoms)
    except Problem:
        return False
    return True


def with_category(atom: str) -> str:
    """An atom with the category that emerge would choose for it, since the service asks for one."""
    begins = re.search(r"\w", atom)
    if atom.startswith("@") or "/" in atom or begins is None:
        return atom
    from portage.dep import dep_getkey

    _, settings = load_portage()
    before, rest = atom[: begins.start()], atom[begins.start() :]
    name = dep_getkey(f"{before}null/{rest}").partition("/")[2]
    found = {
        category
        for repository in settings.repositories
        for category in settings.categories
        if repository.location and Path(repository.location, category, name).is_dir()
    }
    if len(found) > 1:
        found -= {"acct-group", "acct-user", "virtual"}
    return f"{before}{min(found)}/{rest}" if len(found) == 1 else atom


NEEDS_BUILDING = 222  # an exit status that emerge does not have


def emerge_if_ready(
    defaults: Sequence[str], options: Sequence[str], atoms: Sequence[str]
) -> tuple[int, list[str]]:
    """Run emerge, but stop it before it builds something from source.

    Return its exit status, and the packages that it would have built. So one resolution does,
    which is most of the time on a weak machine. Portage is stopped where its scheduler begins,
    with the list of what it is going to merge.
    """
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            os.environ["EMERGE_DEFAULT_OPTS"] = shlex.join(for_trying(defaults))
            status = guarded_emerge(["--getbinpkg", *for_trying(options), *atoms], writing)
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        except KeyboardInterrupt:
            status = 130
        except BaseException as error:
            print(f"cloche-client: emerge: {type(error).__name__}: {error}", file=sys.stderr)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    os.close(writing)
    try:
        with os.fdopen(reading, encoding="utf-8") as stream:
            missing = stream.read().split()
        _, status = os.waitpid(child, 0)
    except KeyboardInterrupt:  # emerge got it, too, and cleans up
        os.waitpid(child, 0)
        raise
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status), missing


def guarded_emerge(words: list[str], report: int) -> int:
    """emerge, in this process, that merges binary packages only."""
    import portage

    portage._internal_caller = True
    portage._disable_legacy_globals()
    from _emerge.main import emerge_main
    from _emerge.Scheduler import Scheduler

    merge = Scheduler.merge

    def merge_if_ready(self: Any) -> Any:
        needed = [
            str(package.cpv)
            for package in self._mergelist
            if getattr(package, "operation", "") == "merge" and package.type_name == "ebuild"
        ]
        if not needed:
            return merge(self)
        os.write(report, "\n".join(needed).encode())
        sys.stdout.flush()
        os._exit(NEEDS_BUILDING)

    Scheduler.merge = merge_if_ready
    return int(emerge_main(words) or 0)
