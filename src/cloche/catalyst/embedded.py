"""Machines of the target embedded: a few packages in a root of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cloche.catalyst.emerge import emerge_call
from cloche.catalyst.kernels import kernels
from cloche.catalyst.making import Machines, Making, keys_of
from cloche.config.errors import ConfigError


def embedded(making: Making) -> Machines:
    """The dependencies over the source, then the packages alone in a root of their own.

    Kernels are also made over the source, so that root does not have them, as in catalyst.
    """
    origin = making.spec.origin("embedded/packages")
    words = making.words("packages")
    if not words:
        raise ConfigError(origin, "“embedded/packages” is missing", "name packages for the root")
    seed = yield from kernels(making, "source")
    needs = keys_of(emerge_call((*words, "--onlydeps", "--oneshot")), origin)
    yield "dependencies", making.between(seed, keep_world=True, **needs)
    mask = making.spec.text("install_mask")
    making.fragment("mergeroot", {"make.conf": f'INSTALL_MASK="{mask}"\n'})
    making.files["finish/etc/portage/make.profile"] = making.profile_link
    yield (
        "embedded",
        making.machine(
            "dependencies",
            "mergeroot",
            root="own",
            **keys_of(emerge_call((*words, "--oneshot", "--nodeps")), origin),
            output={**making.tarball, "portage": False, "needs": "warn"},
            finish=list(_finish_steps(making)),
        ),
    )


def _finish_steps(making: Making) -> Iterator[dict[str, Any]]:
    """The steps that finish that root, in catalyst's order."""
    yield from making.overlays("root_overlay")
    for key, kind in (("unmerge", "unmerge"), ("rm", "remove"), ("empty", "empty")):
        if words := making.words(key):
            yield {kind: words}
    yield {"files": "finish"}
