"""Network access of fetching sandboxes: cloche's proxy, and the files needed to use it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cloche.building.context import BuildContext
from cloche.fetching.forward import Forwarder
from cloche.fetching.listening import unix_listener
from cloche.fetching.reach import places_of
from cloche.sandbox.base import Bind
from cloche.sandbox.errors import SandboxError

PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy")
CA_BUNDLE = "/run/cloche/ca.crt"


def forwarder(configured: Sequence[str], proxies: Mapping[str, str]) -> Forwarder:
    """The proxy: ``configured`` are the user's mirrors, ``proxies`` the caller's."""
    return Forwarder(places_of(configured), {n: proxies[n] for n in PROXIES if n in proxies})


def mirrors_of(context: BuildContext) -> str:
    """The text of ``/etc/portage/mirrors``: the host's, then the machine's, which wins."""
    own = (
        text.decode(errors="replace")
        for name, text in context.inputs.etc.items()
        if (name == "mirrors" or name.startswith("mirrors/")) and isinstance(text, bytes)
    )
    return "\n".join((context.policy.mirrors or "", *own))


def file_mirrors(configured: Sequence[str]) -> Iterator[Path]:
    """Directories of this host that the user names as mirrors."""
    for uri in configured:
        if uri.startswith("file:///"):
            yield Path(unquote(urlsplit(uri).path))
        elif uri.startswith("/") and uri.strip("/"):
            yield Path(uri)


@contextmanager
def way_out(context: BuildContext, proxy: Forwarder, workspace: Path) -> Iterator[Bind]:
    """Run the proxy, and return its socket's bind. Raises SandboxError if that is impossible."""
    if not context.engine.nature.sockets:
        raise SandboxError(
            "connecting a sandbox to the proxy",
            f"sandboxes of {context.engine.name} have their own kernel and cannot reach a socket",
            todo="fetch with another --engine first",
        )
    path = workspace / "proxy"
    with proxy.listening(unix_listener(path)):
        yield Bind(path, "/run/cloche/proxy")


def network_files(workspace: Path, mirrors: str, configured: Sequence[str]) -> list[Bind]:
    """Binds that a fetch needs: certificates, the list of mirrors, and mirrors on this host."""
    import ssl  # takes longer to load than all of this room; only a fetch needs it

    binds = [Bind(path, str(path)) for path in file_mirrors(configured) if path.is_dir()]
    bundle = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    if Path(bundle).exists():
        binds.append(Bind(Path(bundle).resolve(), CA_BUNDLE))
    if mirrors.strip():
        text = workspace / "mirrors"
        text.write_text(mirrors)
        binds.append(Bind(text, "/etc/portage/mirrors"))
    return binds
