"""The fetch step: the only one with a network, and one that can write nothing but distfiles."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from cloche.build import distfiles, views
from cloche.build.errors import GuestError, MissingDistfileError, StepError
from cloche.build.events import Fetched, Phase, Started
from cloche.build.guestcall import Call, call, tail_of
from cloche.build.logs import new_log
from cloche.build.workshop import Workshop, make_directory
from cloche.engines.base import Bind
from cloche.plan.depgraph import Distfile, Package

PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy")
ADVICE = (
    "check the network, the proxy settings and the mirror, or put the file into the directory that "
    "`[build] distfiles` names"
)
CA_BUNDLE = "/run/cloche/ca.crt"


def fetch(shop: Workshop, package: Package, environment: dict[str, str]) -> None:
    """See that every distfile of the package is in the store. Raises StepError.

    ``environment`` is the caller's, out of which the proxies are taken.
    """
    if not distfiles.missing(shop.store, package.distfiles):
        return
    with ExitStack() as stack:
        # Two packages, or two cloches, may want the same file: one fetches, the other finds it.
        for name in sorted(distfiles.stored_name(file) for file in package.distfiles):
            stack.enter_context(shop.store.lock(f"distfile-{name}"))
        workspace = stack.enter_context(shop.store.workspace("fetch"))
        absent = tuple(
            file
            for file in distfiles.missing(shop.store, package.distfiles)
            if not distfiles.adopt(shop.store, file, shop.policy.distfiles, workspace)
        )
        if not absent:
            return
        if shop.policy.offline:
            raise MissingDistfileError(package.id, tuple(file.name for file in absent))
        _fetch(shop, package, absent, workspace, environment)


def _fetch(
    shop: Workshop,
    package: Package,
    absent: Sequence[Distfile],
    workspace: Path,
    environment: dict[str, str],
) -> None:
    log = new_log(shop.store, package.cpv, "fetch")
    shop.bus(Started(package=package.id, step="fetch", log=str(log)))
    directory = make_directory(workspace, "distdir", 0o777)
    sandbox = shop.sandbox(
        (),
        upper=make_directory(workspace, "root"),
        binds=(
            *views.for_build(shop.inputs, package),
            *_network_files(shop, workspace),
            Bind(directory, "/run/cloche/distdir", writable=True),
        ),
        network=True,
    )
    wanted = Call(
        script="fetch",
        request={
            "package": {"cpv": package.cpv, "repo": package.repo},
            "files": [file.name for file in absent],
        },
        sandbox=sandbox,
        workspace=workspace,
        log=log,
        environment=shop.environment()
        | {n: environment[n] for n in PROXIES if n in environment}
        | {"CURL_CA_BUNDLE": CA_BUNDLE, "SSL_CERT_FILE": CA_BUNDLE},
        timeout=shop.policy.phase_seconds,
        package=package.id,
    )
    try:
        result, _ = call(shop.engine, shop.running, wanted)
    except GuestError as error:
        raise StepError(package.id, "fetch", error.what, log=str(log), tail=error.tail) from error
    finally:
        shop.bus(Phase(package=package.id, phase="fetch", state="end"))
    if result.get("status") != "ok":
        reason = f"{result.get('file', '?')}: {result.get('reason', 'failed')}"
        failed = StepError(package.id, "fetch", reason, log=str(log), tail=tail_of(log))
        if result.get("reason") == "network":
            failed.hint = f"{ADVICE}; see `{failed.log_command}`"
        raise failed
    for file in absent:
        try:
            distfiles.keep(shop.store, directory / file.name, file)
        except (OSError, distfiles.BadDistfileError) as error:
            raise StepError(package.id, "fetch", str(error), log=str(log)) from error
        shop.bus(Fetched(package=package.id, file=file.name, size=file.size))


def _network_files(shop: Workshop, workspace: Path) -> list[Bind]:
    """What a fetch needs of the host: how to resolve names, whom to trust, where mirrors are."""
    binds = [
        Bind(path.resolve(), str(path))
        for path in (Path("/etc/resolv.conf"), Path("/etc/hosts"))
        if path.exists()
    ]
    bundle = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    if Path(bundle).exists():
        binds.append(Bind(Path(bundle).resolve(), CA_BUNDLE))
    if shop.policy.mirrors is not None:
        mirrors = workspace / "mirrors"
        mirrors.write_text(shop.policy.mirrors)
        binds.append(Bind(mirrors, "/etc/portage/mirrors"))
    return binds
