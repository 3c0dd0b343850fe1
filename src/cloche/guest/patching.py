"""Sources as user patches find them, and builds with a patch that is not saved yet.

For `cloche patch`, which makes no results: this script is not part of any key.
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    __package__ = "guest"

import contextlib
import hashlib
import os
import shutil
import subprocess
from functools import partial
from typing import Any

from . import build, cross, helpers, leftovers, phases, shortcuts, sonames, sysroot
from . import settings as guest_settings
from .protocol import Channel, Failed, serve

ETC = Path("/etc/portage")
PATCHES = Path("/run/cloche/patches")  # files of the request's "patches"
CHANGED = Path("/run/cloche/changed")  # files that an earlier try did not have
TREE = Path("/run/cloche/tree")  # a work tree, for one patch
DIRECTORY, APPLIED = "cloche-directory", "cloche-applied"  # in T

#: Ends the phase in eapply_user: before the user's patches, or after them. As die() does it: the
#: ebuild may have called it from a subshell.
HOOK = """
if [[ ${{EBUILD_PHASE}} == prepare ]]; then
	eval "__cloche_$(declare -f eapply_user)"
	eapply_user() {{
		[[ -f ${{T}}/.portage_user_patches_applied ]] && return
		pwd -P > "${{T}}/cloche-directory"
		{applied}
		[[ ${{BASHPID}} == "${{EBUILD_MASTER_PID}}" ]] || kill -s SIGTERM "${{EBUILD_MASTER_PID}}"
		exit 1
	}}
fi
"""
APPLY = '__cloche_eapply_user "$@" && : > "${T}/cloche-applied"'


def main(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Answer a request of the protocol: what its "mode" says."""
    if request["mode"] == "apply":
        return applied(request)
    guest_settings.apply(request["root"], **request.get("environment", {}))
    if "cross" in request:
        for_other_cpu(request)
    if guest_settings.own_root() and os.environ["SYSROOT"] != "/":
        sysroot.prepare(guest_settings.root())
    for name, file in request["patches"].items():
        (ETC / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PATCHES / file, ETC / name)
    settings, trees = phases.load(refreshed=True)
    shortcuts.take()
    package = phases.ebuild_package(request["cpv"], request["repo"], settings, trees)
    own = own_settings(package, settings, trees, kept=request["mode"] == "again")
    build.check_use(request.get("use"), own)
    build.check_distfiles(own)
    sonames.know_the_seed()
    with helpers.serving() as server, leftovers.ended(channel, server):
        if request["mode"] in ("try", "again"):
            return tried(request, package, own, channel)
        return source(request["mode"], own, channel)


def for_other_cpu(request: dict[str, Any]) -> None:
    """The tools of a build for another CPU, as cross.py has them."""
    for place in request["cross"]["prefixes"]:
        Path(place).symlink_to(request["root"])
    guest_settings.ENVIRONMENT["CBUILD"] = request["cross"]["cbuild"]
    sysroot.prepare = partial(cross.prepare, request["cross"])


def own_settings(package: Any, settings: Any, trees: Any, *, kept: bool) -> Any:
    """Settings for the package, with an empty build directory or the one of an earlier try."""
    place = Path(settings["PORTAGE_TMPDIR"]) / "portage" / package.category / package.pf
    aside = place.with_name(f"{place.name}.kept")
    if kept:
        place.rename(aside)  # a build begins with none
    own = build.package_settings(package, settings, trees)
    if kept:
        shutil.rmtree(place)
        aside.rename(place)
    return own


def source(mode: str, own: Any, channel: Channel) -> dict[str, Any]:
    """Unpack and prepare up to the user's patches; with the mode "check", apply them.

    Says in which directory below WORKDIR that is, or None if the ebuild does not come there.
    """
    with (ETC / "bashrc").open("a") as bashrc:
        bashrc.write(HOOK.format(applied=APPLY if mode == "check" else ""))
    temporary = Path(own["T"])
    for phase in ("setup", "unpack"):
        build.run(phase, own, channel)
    failure = None
    try:
        build.run("prepare", own, channel)
    except Failed as error:
        failure = error
    if not (temporary / DIRECTORY).exists():
        text = str(failure or "")
        if failure is not None and "eapply_user (or default) must be called" not in text:
            raise failure
        return {"directory": None}
    if mode == "check" and not (temporary / APPLIED).exists():
        raise failure or Failed(phase="prepare", text="")
    place = Path((temporary / DIRECTORY).read_text(encoding="utf-8").rstrip("\n"))
    inside = place.resolve()
    if not inside.is_relative_to(Path(own["WORKDIR"]).resolve()):
        raise Failed(phase="prepare", text=f"{place} is not below WORKDIR")
    return {"directory": str(inside.relative_to(Path(own["WORKDIR"]).resolve()))}


def tried(request: dict[str, Any], package: Any, own: Any, channel: Channel) -> dict[str, Any]:
    """Build as far as the image, anew or from what the last try left."""
    if request["mode"] == "again":
        if lost := put_in(Path(own["WORKDIR"]) / request["directory"], request["changed"], own):
            return {"stale": lost}
        for phase in ("compiled", "tested", "installed"):
            (Path(own["PORTAGE_BUILDDIR"]) / f".{phase}").unlink(missing_ok=True)
        wanted: tuple[str, ...] = ("configure", "compile", "test", "install")
    else:
        build.run("setup", own, channel)
        wanted = build.wanted(package, own)
    restricted = "test" in own["PORTAGE_RESTRICT"].split()
    if request["test"]:
        own["EBUILD_FORCE_TEST"] = "1"
        if "test" not in wanted and "compile" in wanted:
            at = wanted.index("compile") + 1
            wanted = (*wanted[:at], "test", *wanted[at:])
    elif request["mode"] == "again":
        wanted = tuple(each for each in wanted if each != "test" or "test" in own.features)
    for phase in wanted:
        build.run(phase, own, channel)
    return {"tests": "restricted" if restricted else "ran" if "test" in wanted else "none"}


def put_in(place: Path, changed: list[dict[str, Any]], own: Any) -> str | None:
    """Put changed files into the sources; the name of one that the build has changed, if any.

    Then none is put in.
    """
    for each in changed:
        path = place / each["path"]
        if digest(path) != each["old"]:
            return str(each["path"])
    for each in changed:
        path, new = place / each["path"], CHANGED / each["path"]
        if not new.exists():
            path.unlink()
            continue
        made = [path, *(above for above in path.parents if not above.exists())]
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():  # its owner and mode stay
            path.write_bytes(new.read_bytes())
        else:
            shutil.copyfile(new, path)
            for name in made:
                shutil.chown(name, own.get("PORTAGE_USERNAME", "portage"))
        path.chmod(path.stat().st_mode & ~0o111 | new.stat().st_mode & 0o111)
    return None


def digest(path: Path) -> str | None:
    """SHA-256 of a file; None if there is nothing, "" if it is no regular file."""
    if path.is_symlink() or path.is_dir():
        return ""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return None


def applied(request: dict[str, Any]) -> dict[str, Any]:
    """Apply one patch to the work tree, by patch(1) with the options of eapply.

    What does not fit is merged with marks of a conflict where the request says so.
    """
    base = ["patch", "-p1", "-f", "-g0", "--no-backup-if-mismatch", "--reject-file=-"]
    ended = _patch(request, [*base, "--dry-run"])
    fits = ended.returncode == 0
    if fits:
        ended = _patch(request, base)
    elif request["merge"]:
        merged = _patch(request, [*base, "--merge"])
        return {"fits": False, "said": _text(ended), "merged": _text(merged)}
    return {"fits": fits, "said": _text(ended), "merged": ""}


def _patch(request: dict[str, Any], words: list[str]) -> subprocess.CompletedProcess[bytes]:
    with (PATCHES / request["patch"]).open("rb") as text:
        return subprocess.run(
            words,
            cwd=TREE,
            stdin=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )


def _text(done: subprocess.CompletedProcess[bytes]) -> str:
    return done.stdout.decode("utf-8", "replace")[-100_000:]


if __name__ == "__main__":
    serve(main)
