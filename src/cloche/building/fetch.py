"""The fetch step: no ebuild runs, only distfiles are writable, and only a proxy is reachable.

The URIs are those of the resolution. A URI or redirect that leads to this host is refused, unless
the user's own configuration names the same server (`fetching/reach.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from cloche.building import binpkg
from cloche.building.context import BuildContext
from cloche.building.network import (
    CA_BUNDLE,
    file_mirrors,
    forwarder,
    mirrors_of,
    network_files,
    way_out,
)
from cloche.building.nofetch import by_hand
from cloche.fetching.reach import mirror_uris, place_of
from cloche.plan.depgraph import Distfile, Package
from cloche.records.events import Fetched, Phase, Started
from cloche.records.logs import new_log
from cloche.sandbox.base import Bind
from cloche.tasks import distfiles
from cloche.tasks.errors import (
    GuestError,
    StepError,
    missing_distfile,
)
from cloche.tasks.guestcall import Call, Message, call, tail_of
from cloche.tasks.worker import make_directory

ADVICE = (
    "check the network, the proxy settings and the mirror, or put the file into the directory that "
    "`[build] distfiles` names"
)
NAME_IT = (
    "sources on this host are only fetched from servers and directories that the machine's "
    "/etc/portage/mirrors (`portage/FRAGMENT/mirrors`) names"
)

WORDS = {
    "digest": "the digest does not match the Manifest",
    "size": "the size does not match the Manifest",
    "missing": "no server has it",
}
REPLACED = (
    "the file was replaced upstream or on a mirror; if the new one is right, run "
    "`cloche manifest --force` for the package"
)


def obtain(context: BuildContext, package: Package) -> None:
    """Fetch what a package is built from, or the package itself from its binary package host."""
    if package.binary is not None:
        binpkg.obtain(context, package)
    else:
        fetch(context, package)


def fetch(context: BuildContext, package: Package) -> None:
    """Fetch every distfile of the package that is not in the store. Raises StepError."""
    if not distfiles.missing(context.store, package.distfiles):
        return
    with ExitStack() as stack:
        # Two packages, or two processes, may want the same file: one fetches, the other finds it.
        for name in sorted(distfiles.stored_name(file) for file in package.distfiles):
            stack.enter_context(context.store.lock(f"distfile-{name}"))
        workspace = stack.enter_context(context.store.workspace("fetch"))
        absent = tuple(
            file
            for file in distfiles.missing(context.store, package.distfiles)
            if not distfiles.adopt(context.store, file, context.own_files)
        )
        if not absent:
            return
        if context.policy.offline:
            if "fetch" in package.restrict:
                raise by_hand(context, package, absent)
            raise missing_distfile(package.id, *(file.name for file in absent))
        _fetch(context, package, absent, workspace)


class Sources(Protocol):
    """What a fetch needs to know of its package."""

    @property
    def id(self) -> str:
        """Its name in events and errors."""

    @property
    def cpv(self) -> str:
        """Its CPV."""

    @property
    def restrict(self) -> tuple[str, ...]:
        """RESTRICT."""

    @property
    def distfiles(self) -> tuple[Distfile, ...]:
        """All distfiles, for errors."""


def _fetch(
    context: BuildContext,
    package: Package,
    absent: Sequence[Distfile],
    workspace: Path,
) -> None:
    try:
        directory, log = fetch_into(context, package, absent, workspace)
    except NotFetchedError as error:
        if error.by_hand:
            raise by_hand(context, package, absent) from error
        raise error.failed from error
    for file in absent:
        try:
            distfiles.keep(context.store, directory / file.name, file)
        except (OSError, distfiles.BadDistfileError) as error:
            raise StepError(package.id, "fetch", str(error), log=str(log)) from error
        context.bus(Fetched(package=package.id, file=file.name, size=file.size))


class NotFetchedError(Exception):
    """A fetch failed; ``by_hand`` if RESTRICT=fetch leaves it to the user."""

    def __init__(self, failed: StepError, *, by_hand: bool) -> None:
        super().__init__(failed)
        self.failed, self.by_hand = failed, by_hand


def fetch_into(
    context: BuildContext,
    package: Sources,
    absent: Sequence[Distfile],
    workspace: Path,
) -> tuple[Path, Path]:
    """Fetch files into a directory of the workspace; return it, and the log.

    Files without digests are not verified. Raises NotFetchedError, StepError.
    """
    log = new_log(context.store, package.cpv, "fetch")
    context.bus(Started(package=package.id, step="fetch", log=str(log)))
    directory = make_directory(workspace, "distdir", 0o777)
    mirrors = mirrors_of(context)
    configured = mirror_uris(mirrors)
    proxy = forwarder(configured, context.proxies)
    files, refused = _listed(absent, configured)
    proxy.refused += refused
    with way_out(context, proxy, workspace) as proxy_bind:
        sandbox = context.sandbox(
            (),
            upper=make_directory(workspace, "root"),
            binds=(
                *context.profiles(),
                *network_files(workspace, mirrors, configured),
                proxy_bind,
                Bind(directory, "/run/cloche/distdir", writable=True),
            ),
        )
        wanted = Call(
            script="fetch",
            request={
                "package": {"cpv": package.cpv, "restrict": package.restrict},
                "files": files,
            },
            sandbox=sandbox,
            workspace=workspace,
            log=log,
            environment=context.inputs.environment
            | {"CURL_CA_BUNDLE": CA_BUNDLE, "SSL_CERT_FILE": CA_BUNDLE},
            timeout=context.policy.phase_seconds,
            package=package.id,
        )
        try:
            result, _ = call(context.engine, context.running, wanted)
        except GuestError as error:
            failed = StepError(package.id, "fetch", error.what, log=str(log), detail=error.detail)
            raise failed from error
        finally:
            context.bus(Phase(package=package.id, phase="fetch", state="end"))
    if result.get("status") != "ok":
        lacking = result.get("reason") in ("missing", "network") and not proxy.refused
        raise NotFetchedError(
            _failure(package, result, proxy.refused, log),
            by_hand=lacking and "fetch" in package.restrict,
        )
    return directory, log


def _failure(
    package: Sources, result: Message, refused: Sequence[tuple[str, str]], log: Path
) -> StepError:
    """The error for the guest's answer; if a URI was refused, that is the likely reason."""
    name = result.get("file", "?")
    reason = result.get("reason", "failed")
    if refused and reason in ("network", "missing"):
        uri, why = refused[-1]
        return StepError(
            package.id,
            "fetch",
            f"{name}: {_uri_of(uri, package)} is refused: {why}",
            log=str(log),
            todo=NAME_IT,
            detail=tail_of(log),
        )
    words = f"{name}: {WORDS.get(reason, reason)}"
    failed = StepError(package.id, "fetch", words, log=str(log), detail=tail_of(log))
    if hint := {"network": ADVICE, "digest": REPLACED, "size": REPLACED}.get(reason):
        failed.todo = f"{hint}; {failed.todo}"
    return failed


def _uri_of(target: str, package: Sources) -> str:
    """The package's URI for a tunnel's HOST:PORT; other targets are URIs already."""
    if "://" in target:
        return target
    place = place_of(f"https://{target}")
    uris = (uri for file in package.distfiles for uri in file.uris)
    bare = (uri.removeprefix("fetch+").removeprefix("mirror+") for uri in uris)
    return next((uri for uri in bare if place_of(uri) == place), f"https://{target}")


def _listed(
    absent: Sequence[Distfile], configured: Sequence[str]
) -> tuple[list[Message], list[tuple[str, str]]]:
    """The list for the guest, and the refused files of the host that the user did not name."""
    refused: list[tuple[str, str]] = []
    files = []
    own = tuple(file_mirrors(configured))
    for file in absent:
        uris = []
        for uri in file.uris:
            bare = uri.removeprefix("fetch+").removeprefix("mirror+")
            path = Path(unquote(urlsplit(bare).path)) if bare.lower().startswith("file:") else None
            if path is None or (
                ".." not in path.parts and any(path.is_relative_to(mirror) for mirror in own)
            ):
                uris.append(uri)
            else:
                refused.append((bare, "it is a file of this host"))
        files.append({"name": file.name, "size": file.size, "digests": file.digests, "uris": uris})
    return files, refused
