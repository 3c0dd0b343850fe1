"""Proves that a target takes packages: its own Portage has to choose them, and they have to fit.

The target's configuration and what is installed there are replayed in a sandbox, over the
repositories of this host, and the packages are shown as an index. Only what
``emerge --usepkgonly --pretend`` takes there is accepted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cloche.building.context import BuildContext
from cloche.building.metadata import shown_repositories
from cloche.building.stages import stage_call, stage_failed
from cloche.plan.names import cp_of
from cloche.records.logs import new_log
from cloche.sandbox.base import Bind
from cloche.session.session import Session
from cloche.targets.description import Description
from cloche.targets.levels import Level, newer
from cloche.targets.replay import replay_context, session_for
from cloche.targets.results import Offer, Verdict
from cloche.tasks.guestcall import call

_INDEX = "/run/cloche/binhosts/offered/Packages"


def accept(
    session: Session, name: str, description: Description, offers: Sequence[Offer], level: Level
) -> tuple[Verdict, ...]:
    """A verdict on each offer. Of each CPV there may be one. Raises ClocheError."""
    session = session_for(session, description)
    refused = dict(_misfits(description, offers, level))
    left = [offer for offer in offers if offer.key not in refused]
    with replay_context(session, name, description) as context:
        words = _asked(context, description, left) if left else {}
    return tuple(
        Verdict(offer.key, not reason, reason)
        for offer in offers
        for reason in (refused.get(offer.key) or words.get(offer.cpv, ""),)
    )


def _misfits(
    description: Description, offers: Sequence[Offer], level: Level
) -> Iterator[tuple[str, str]]:
    """Offers that need newer libraries than the target has, with the reason."""
    if level.rank < Level.ABI.rank:
        return
    for offer in offers:
        if reasons := newer(offer.symbols, description.symbols):
            yield offer.key, "; ".join(reasons)


def _asked(
    context: BuildContext, description: Description, offers: Sequence[Offer]
) -> Mapping[str, str]:
    """Portage's words on each CPV, empty where it takes the package."""
    log = new_log(context.store, f"machine/{context.inputs.machine}", "accept")
    with context.store.workspace("accept") as workspace:
        index = workspace / "Packages"
        index.write_text(index_of(description, offers), encoding="utf-8")
        binds = (*shown_repositories(context), Bind(index, _INDEX))
        request = {"cpvs": [offer.cpv for offer in offers]}
        wanted = stage_call(context, "accept", request, workspace, log, binds=binds)
        result, _ = call(context.engine, context.running, wanted)
    if result.get("status") != "ok":
        raise stage_failed(context, "accept", str(result.get("text")), log)
    verdicts = result["verdicts"]
    unknown = "the sandbox gave no answer on it"
    return {offer.cpv: str(verdicts.get(offer.cpv, unknown)) for offer in offers}


def index_of(description: Description, offers: Sequence[Offer]) -> str:
    """An index (`Packages`) of offers, as it lies before the target's Portage."""
    header = {
        "ARCH": description.arch,
        "CHOST": description.chost,
        "PACKAGES": str(len(offers)),
        "TIMESTAMP": "1",
        "VERSION": "0",
    }
    head = "".join(f"{name}: {value}\n" for name, value in header.items())
    return "\n".join((head, *(f"{offer.entry}\n" for offer in _sorted(offers)))) + "\n"


def _sorted(offers: Sequence[Offer]) -> list[Offer]:
    return sorted(offers, key=lambda offer: (cp_of(offer.cpv), offer.cpv))
