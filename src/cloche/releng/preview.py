"""Previews a build of a spec, or fetches the sources that it needs; neither builds anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cloche.catalyst.conf import Conf
from cloche.catalyst.spec import Spec
from cloche.errors import ClocheError, Exit
from cloche.releng.build import Prepared, prepared
from cloche.releng.opening import Opening
from cloche.session.choices import Choices


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would be done for one machine of a spec: packages (ids) to build and to reuse.

    Packages in ``perhaps`` wait for others to be built, and may be reused then. If the seed of the
    machine is a machine that is not built yet, only its name is known, in ``after``.
    """

    machine: str
    built: tuple[str, ...] = ()
    perhaps: tuple[str, ...] = ()
    reused: tuple[str, ...] = ()
    after: str | None = None


def preview_spec(
    spec: Spec, conf: Conf, opening: Opening, choices: Choices, *, update: bool
) -> Iterator[Foreseen]:
    """What a build would do, machine by machine. Raises ClocheError.

    The source is unpacked and Portage resolves. A machine whose packages are all built is composed,
    so that the next one can be resolved over it. Neither the lock nor builds/ changes.
    """
    with prepared(spec, conf, opening, update=update) as ready:
        missing: str | None = None
        for name in ready.machines:
            if missing is not None:
                yield Foreseen(name, after=missing)
                continue
            seen = _preview(ready, name, choices)
            yield seen
            if seen.built or seen.perhaps:
                missing = name
            elif name != ready.machines[-1]:
                ready.session.build(name, choices)


def _preview(ready: Prepared, name: str, choices: Choices) -> Foreseen:
    ready.take_seed(name)
    fates = {id: each.fate for id, each in ready.session.plan(name, choices).fates.items()}
    return Foreseen(
        name,
        built=tuple(id for id, fate in fates.items() if fate not in ("reuse", "perhaps")),
        perhaps=tuple(id for id, fate in fates.items() if fate == "perhaps"),
        reused=tuple(id for id, fate in fates.items() if fate == "reuse"),
    )


def fetch_spec(
    spec: Spec, conf: Conf, opening: Opening, choices: Choices, *, update: bool
) -> tuple[str, ...]:
    """Fetch the sources of a spec's packages; return the machines whose packages are not known yet.

    These follow a machine that is not built. Raises ClocheError when something is missing.
    """
    with prepared(spec, conf, opening, update=update) as ready:
        for number, name in enumerate(ready.machines, 1):
            seen = _preview(ready, name, choices)
            _fetch(ready, name, choices, spec)
            if seen.built or seen.perhaps:
                return ready.machines[number:]
            if number < len(ready.machines):
                ready.session.build(name, choices)
        return ()


def _fetch(ready: Prepared, name: str, choices: Choices, spec: Spec) -> None:
    """Fetch for one machine. Raises ClocheError when something is missing."""
    found = ready.session.fetch(name, choices)
    if found.missing:
        shown = ", ".join(found.missing[:3])
        detail = "\n".join(str(error) for error in found.failed)
        what = f"{len(found.missing)} files could not be fetched: {shown}"
        raise ClocheError(what, where=spec.file, detail=detail, status=Exit.FAILED)
