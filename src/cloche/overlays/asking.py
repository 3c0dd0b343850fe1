"""Asks Portage about an overlay's ebuilds, and lets it make the metadata cache, in a sandbox.

What comes back is untrusted: an ebuild may run anything while it is sourced.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from cloche.overlays.content import File, plain
from cloche.overlays.errors import failed
from cloche.overlays.portage_root import PortageRoot
from cloche.overlays.repositories import Configured, repos_conf
from cloche.portage.cpv import BadNameError, split_cpv
from cloche.portage.etc import REPOS
from cloche.records.logs import compress_finished, new_log
from cloche.sandbox.base import Bind, Engine, Limits
from cloche.store import Store
from cloche.tasks.guestcall import Call, Running, call

CACHE = "metadata/md5-cache"
_ENTRY_LIMIT = 1 << 20  # bytes of a cache entry; Gentoo's longest has some 100 KiB
_PATIENCE = 1800  # seconds, for all ebuilds of a call
_LIMITS = Limits(processes=1024, memory=2 << 30, file_size=256 << 20)
_NAME = r"\A[A-Za-z0-9_][A-Za-z0-9+_.-]*\Z"


class Ebuild(msgspec.Struct, frozen=True):
    """What Portage says of an ebuild; see `cloche.guest.overlay`.

    ``eclasses`` are all that it inherits, by name, with the repository's place. ``needs`` are
    dependencies that nothing satisfies: of each the choices, each of them pairs of an atom and its
    CATEGORY/PN. With an ``error`` it could not be read.
    """

    cpv: str
    eclasses: dict[str, str] = {}
    licenses: tuple[str, ...] = ()
    iuse: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    distfiles: tuple[str, ...] = ()
    needs: tuple[tuple[tuple[tuple[str, str], ...], ...], ...] = ()
    error: str = ""

    @property
    def package(self) -> str:
        """CATEGORY/PN."""
        return split_cpv(self.cpv).cp


@dataclass(frozen=True, slots=True)
class Portage:
    """Portage in a root, with the configured repositories; all that is needed to ask it."""

    store: Store
    engine: Engine
    root: PortageRoot
    repos: Mapping[str, Configured]
    main: str

    def ebuilds(self, overlay: str, tree: Path, packages: Sequence[str]) -> tuple[Ebuild, ...]:
        """What it says of all ebuilds of these packages. Raises OverlayError, GuestError."""
        request = {
            "overlay": overlay,
            "packages": list(packages),
            "installed": self.root.installed,
        }
        result = self._call(overlay, tree, "overlay", request, ())
        try:
            found = msgspec.convert(result["ebuilds"], tuple[Ebuild, ...])
            named = {each.package for each in found} <= set(packages)
        except (msgspec.ValidationError, KeyError, BadNameError) as error:
            raise failed(overlay, "Portage's answer cannot be read", None, str(error)) from error
        for each in found:
            names = (*each.licenses, *each.mirrors, *each.eclasses)
            if not named or not all(re.match(_NAME, name) for name in names):
                raise failed(overlay, f"{each.cpv} has a name that cannot be used", None)
        return found

    def cache(self, overlay: str, tree: Path) -> Mapping[str, File]:
        """The metadata cache of a whole repository, by paths in it. Raises as above."""
        with self.store.workspace("overlay-cache") as room:
            cache = room / "cache"
            cache.mkdir()
            cache.chmod(0o755)
            target = f"{REPOS}/{overlay}/{CACHE}"
            request = {"repository": overlay, "cache": target, "jobs": _cores()}
            bind = Bind(cache, target, writable=True)
            self._call(overlay, tree, "metadata", request, (bind,))
            return {f"{CACHE}/{name}": plain(text) for name, text in _entries(cache)}

    def _call(
        self,
        overlay: str,
        tree: Path,
        script: str,
        request: Mapping[str, Any],
        more: Iterable[Bind],
    ) -> Mapping[str, Any]:
        conf = repos_conf(overlay, self.repos, self.main)
        others = (each for each in self.repos.values() if each.name != overlay)
        binds = (
            *(Bind(each.path, f"{REPOS}/{each.name}") for each in others),
            Bind(tree, f"{REPOS}/{overlay}"),
            *more,
        )
        log = new_log(self.store, f"overlay/{overlay}", script)
        with ExitStack() as stack:
            room = stack.enter_context(self.store.workspace("overlay"))
            sandbox = replace(self.root.sandbox(room, binds), limits=_LIMITS, tmpfs=(REPOS,))
            asked = {**request, "repositories": conf}
            wanted = Call(script, asked, sandbox, room, log, {}, _PATIENCE)
            result, _ = call(self.engine, Running(), wanted)
        if result.get("status") != "ok":
            todo = f"see {log}"
            raise failed(overlay, f"its ebuilds cannot be read: {result.get('text')}", todo)
        compress_finished(self.store, f"overlay/{overlay}", log)
        return result


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _entries(cache: Path) -> Iterable[tuple[str, bytes]]:
    """CATEGORY/PF and text of each entry that is a plain file of a sane size."""
    for category in sorted(cache.iterdir()):
        if category.is_symlink() or not category.is_dir():
            continue
        for path in sorted(category.iterdir()):
            name = f"{category.name}/{path.name}"
            try:
                split_cpv(name)
                fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            except (BadNameError, OSError):
                continue  # egencache's own, or what an ebuild left there
            with open(fd, "rb") as file:
                info = os.fstat(fd)
                if stat.S_ISREG(info.st_mode) and info.st_size <= _ENTRY_LIMIT:
                    yield name, file.read(_ENTRY_LIMIT)
