"""The mirrors of a Debian seed: what the host's apt is configured for today."""

from __future__ import annotations

from cloche.config.project import SeedSpec
from cloche.seeds.debian.apt import SUITE, find_mirror, portage_mirrors, without_password
from cloche.seeds.errors import SeedError


def mirrors_now(spec: SeedSpec) -> str | None:
    """Portage's ``mirrors`` as the host's own configuration has it today; None where it has none.

    A seed carries the mirror it was made from; a host that moved to another one need not make a new
    seed.
    """
    if spec.type != "debian":
        return None
    try:
        mirror = find_mirror(spec.text("suite") or SUITE, mirror=spec.text("mirror"))
    except SeedError:
        return None
    return portage_mirrors(without_password(mirror.uri))
