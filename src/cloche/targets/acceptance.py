"""Proves that a target takes packages: its own Portage has to choose them, and they have to fit.

The target's configuration and what is installed there are replayed in a sandbox, over the
repositories of this host, and the packages are shown as an index. Only what
``emerge --usepkgonly --pretend`` takes there is accepted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from cloche.building.context import BuildContext
from cloche.building.metadata import shown_repositories
from cloche.building.stages import stage_call, stage_failed
from cloche.plan.names import cp_of
from cloche.portage.etc import Content
from cloche.records.logs import new_log
from cloche.sandbox.base import Bind
from cloche.session.session import Session
from cloche.targets.description import Description
from cloche.targets.environments import code_on, whole
from cloche.targets.etc import OwnCode, code_of
from cloche.targets.levels import Environment, Level, Seen, flags_of, misfits
from cloche.targets.replay import replay_context, session_for
from cloche.targets.results import Offer, Verdict
from cloche.targets.symbols import too_new
from cloche.targets.vdb import installed_of, seen_entry
from cloche.tasks.guestcall import call

_NO_ANSWER = "the sandbox gave no answer on it"
_INDEX = "/run/cloche/binhosts/offered/Packages"


def accept(
    session: Session, name: str, description: Description, offers: Sequence[Offer], level: Level
) -> tuple[Verdict, ...]:
    """A verdict on each offer. Of each CPV there may be one. Raises ClocheError."""
    if not offers:
        return ()
    session = session_for(session, description)
    with replay_context(session, name, description) as context:
        refused = {o.key: "; ".join(too_new(description, o.symbols, level)) for o in offers}
        while left := [offer for offer in offers if not refused[offer.key]]:
            answer = _asked(context, description, left)
            compared = _Compared.to(description, context.inputs.etc, left, answer)
            for offer in left:
                refused[offer.key] = compared.unfit(offer, level) or answer.verdicts.get(
                    offer.cpv, _NO_ANSWER
                )
            if not any(refused[offer.key] for offer in left):  # else others may have relied on it
                break
    return tuple(Verdict(o.key, not refused[o.key], refused[o.key]) for o in offers)


class Answer(msgspec.Struct, frozen=True):
    """What the target's Portage says.

    ``verdicts`` are its words by CPV, empty where it takes the package; ``environments`` the
    variables with which it would build each; ``chosen`` the packages that it would choose, by name
    with slot.
    """

    verdicts: Mapping[str, str] = {}
    environments: Mapping[str, Mapping[str, str]] = {}
    chosen: Mapping[str, Seen | None] = {}


@dataclass(frozen=True, slots=True)
class _Compared:
    """What the environments of offers are compared with: what a target has, or would choose."""

    answer: Answer
    etc: Mapping[str, Content]
    has: Mapping[str, Seen]
    along: Mapping[str, Seen]
    code: OwnCode
    own: Environment

    @classmethod
    def to(
        cls,
        description: Description,
        etc: Mapping[str, Content],
        offers: Sequence[Offer],
        answer: Answer,
    ) -> _Compared:
        """All that is the same for several offers; ``etc`` is the target's whole /etc/portage."""
        installed = {each.name: each for each in installed_of(description).values()}
        slotted = {each.cp for each in installed.values()}  # a build takes the slot that is there
        chosen = (each for each in answer.chosen.values() if each and each.cp not in slotted)
        has = {**{each.name: each for each in chosen}, **installed}
        code = code_of(description)
        own = Environment(tools=code.all, target=whole(installed_of(description)))
        return cls(answer, etc, has, {s.name: s for s in map(_seen, offers)}, code, own)

    def unfit(self, offer: Offer, level: Level) -> str:
        """Why an offer does not fit the target at a level; empty if it does."""
        built = offer.environment
        needs = {each.name: each for each in (*built.build, *built.run)}
        has = {
            name: each if self.along.get(name) == each else self.has[name]
            for name, each in needs.items()
            if name in self.has or self.along.get(name) == each
        }
        variables = self.answer.environments.get(offer.cpv, {})
        slot = _seen(offer).slot
        code = code_on(offer.cpv, slot, variables, self.etc, self.code)
        own = replace(self.own, flags=flags_of(variables), code=code)
        return "; ".join(misfits(built, own, has, level))


def _seen(offer: Offer) -> Seen:
    """An offer as a build sees it."""
    lines = (line.partition(": ") for line in offer.entry.splitlines())
    return seen_entry(offer.cpv, {name: value for name, _, value in lines})


def _asked(context: BuildContext, description: Description, offers: Sequence[Offer]) -> Answer:
    """What the target's Portage says of offers. Raises StepError."""
    if not offers:
        return Answer()
    installed = {each.name for each in installed_of(description).values()}
    seen = (each for o in offers for each in (*o.environment.build, *o.environment.run))
    request = {
        "cpvs": [offer.cpv for offer in offers],
        "names": sorted({each.name for each in seen} - installed),
    }
    log = new_log(context.store, context.inputs.log_name, "accept")
    with context.store.workspace("accept") as workspace:
        index = workspace / "Packages"
        index.write_text(index_of(description, offers), encoding="utf-8")
        binds = (*shown_repositories(context), Bind(index, _INDEX))
        wanted = stage_call(context, "accept", request, workspace, log, binds=binds)
        result, _ = call(context.engine, context.running, wanted)
    if result.get("status") != "ok":
        raise stage_failed(context, "accept", str(result.get("text")), log)
    try:
        return msgspec.convert(result, Answer)
    except msgspec.ValidationError as error:
        raise stage_failed(context, "accept", f"malformed answer: {error}", log) from error


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
