"""Machines of stage1, stage2 and stage3: a system bootstrapped from a source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cloche.catalyst.emerge import EmergeCall, emerge_call
from cloche.catalyst.hooks import STAGE1, STAGE2, STAGE3
from cloche.catalyst.makeconf import building_use
from cloche.catalyst.making import Machines, Making, keys_of
from cloche.catalyst.packages import cleaned
from cloche.catalyst.spec import Spec
from cloche.config.errors import ConfigError, Origin

#: FEATURES of stage1 and stage2.
NODOC_FEATURES = "nodoc noman noinfo"
NODOC = f'FEATURES="{NODOC_FEATURES}"\n'
_WORLD = ("--update", "--deep", "--newuse", "@world")


def stage1(making: Making) -> Machines:
    """The profile's packages.build in a root of its own, after the seed was updated if asked to."""
    spec, seed = making.spec, "source"
    making.fragment("stage", {"make.conf": NODOC})
    if spec.text("update_seed") == "yes":
        yield "seed", making.between("source", "stage", **_update(spec))
        seed = "seed"
    elif spec.text("update_seed") not in ("", "no"):
        raise ConfigError(
            spec.origin("update_seed"), "update_seed is neither yes nor no", "write yes or no"
        )
    use = ("-*", "build", *building_use(spec, making.conf), "${BOOTSTRAP_USE}")
    making.fragment(
        "stage1",
        {"make.conf": f'{NODOC}USE="{" ".join(use)}"\n'},
    )
    finish = [
        making.hook("stage1", STAGE1),
        {"remove": [f"/usr/share/{name}/*" for name in ("doc", "info", "man")]},
        *making.configuration(confdir=False),
        making.repositories_owned,
    ]
    packages = list(making.inputs.build_packages)  # none before they are known
    yield (
        "stage1",
        making.machine(
            seed,
            "stage1",
            use=False,
            root="own",
            **({"packages": packages} if packages else {"sets": ["system"]}),
            emerge=["--oneshot", "--implicit-system-deps=n"],
            output={**making.tarball, "portage": False, "needs": "warn"},
            finish=finish,
        ),
    )


def _update(spec: Spec) -> dict[str, Any]:
    """The keys of the machine that updates the seed, from update_seed_command."""
    call = emerge_call(spec.words("update_seed_command") or _WORLD)
    return keys_of(call, spec.origin("update_seed_command"))


def stage2(making: Making) -> Machines:
    """The calls of emerge in bootstrap.sh, each a machine over the one before."""
    seed, script = "source", Origin(Path(making.repo, "scripts/bootstrap.sh"))
    calls = making.inputs.calls or (EmergeCall((), ("@system",)),)  # before they are known
    finish = [making.hook("stage2", STAGE2), *cleaned(making)]
    for number, each in enumerate(calls, 1):
        last = number == len(calls)
        name = "stage2" if last else f"stage2-{number}"
        use = "" if each.use is None else _from_environment((*making.use, each.use))
        making.fragment(name, {"make.conf": NODOC + use})
        keys = keys_of(each, script)
        if last:
            keys |= {"output": making.tarball, "finish": finish}
        made = making.machine if last else making.between
        yield name, made(seed, name, use=not use, **keys)
        seed = name


def _from_environment(use: tuple[str, ...]) -> str:
    """Lines of make.conf for USE that a script sets in emerge's environment.

    There it counts more than package.use: `-*` disables what that enables.
    """
    return f'USE="{" ".join(use)}"\nUSE_ORDER="conf:pkg:defaults:pkginternal:features:repo:env.d"\n'


def stage3(making: Making) -> Machines:
    """@system with its build dependencies in a root of its own."""
    finish = [making.hook("stage3", STAGE3), *making.configuration(), making.repositories_owned]
    yield (
        "stage3",
        making.machine(
            "source",
            root="own",
            with_build_deps=True,
            sets=["system"],
            emerge=["--oneshot"],
            output={**making.tarball, "portage": False, "needs": "warn"},
            finish=finish,
        ),
    )
