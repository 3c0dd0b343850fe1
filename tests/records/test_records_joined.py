"""The events of several machines that are built together, told as those of one build."""

from __future__ import annotations

from collections.abc import Mapping

from cloche.records import events
from cloche.records.events import Done, Event, Note, Planned, Stage, Started
from cloche.records.joined import Joined, joint_names, joint_plan

JQ, ONIG, SH = "app-misc/jq-1::r", "dev-libs/oniguruma-6::r", "app-shells/sh-1::r"
ALIKE = [
    [("web", ONIG), ("kiosk", ONIG)],
    [("web", JQ)],
    [("kiosk", JQ)],
    [("kiosk", SH)],
]
WEB = Planned(machine="web", packages=(ONIG, JQ), edges={JQ: (ONIG,)}, expected={ONIG: 3.0}, jobs=2)
KIOSK = Planned(machine="kiosk", packages=(ONIG, SH, JQ), edges={JQ: (ONIG, SH)})


def test_one_id_with_two_meanings_has_two_names() -> None:
    names = joint_names(ALIKE)
    assert names.joint == {
        ("web", ONIG): ONIG,
        ("kiosk", ONIG): ONIG,
        ("web", JQ): JQ,
        ("kiosk", JQ): f"{JQ}@kiosk",
        ("kiosk", SH): SH,
    }
    assert names.machines[ONIG] == ("web", "kiosk")
    assert names.ids[f"{JQ}@kiosk"] == JQ


def test_plans_become_one() -> None:
    plan = joint_plan([WEB, KIOSK], joint_names(ALIKE))
    assert plan.machine == "web, kiosk"
    assert plan.packages == (ONIG, JQ, SH, f"{JQ}@kiosk")
    assert plan.edges == {ONIG: (), JQ: (ONIG,), SH: (), f"{JQ}@kiosk": (ONIG, SH)}
    assert plan.expected == {ONIG: 3.0}
    assert (plan.jobs, plan.depgraph) == (2, None)
    assert plan.machines[f"{JQ}@kiosk"] == ("kiosk",)


def told(said: Mapping[str, list[Event]]) -> list[Event]:
    """What a display hears of machines' events, the machines in turn."""
    heard: list[Event] = []
    joined = Joined(heard.append)
    web, kiosk = joined.hearing("web"), joined.hearing("kiosk")
    web(WEB)
    kiosk(KIOSK)
    joined.plan([WEB, KIOSK], joint_names(ALIKE))
    for name, hear in (("web", web), ("kiosk", kiosk)):
        for event in said.get(name, ()):
            hear(event)
    joined.finish(9.0)
    return heard


def test_what_is_shared_is_told_once() -> None:
    heard = told(
        {
            "web": [
                Started(package=ONIG, step="build"),
                Done(package=ONIG, how="built"),
                Done(package=JQ, how="failed"),
            ],
            "kiosk": [
                Done(package=ONIG, how="reused"),
                Done(package=JQ, how="skipped"),
                events.Finished(built=0, reused=1, failed=0, skipped=1, seconds=1),
            ],
        }
    )
    assert [type(each) for each in heard] == [Planned, Started, Done, Done, Done, events.Finished]
    done = [(each.package, each.how) for each in heard if isinstance(each, Done)]
    assert done == [(ONIG, "built"), (JQ, "failed"), (f"{JQ}@kiosk", "skipped")]
    end = heard[-1]
    assert isinstance(end, events.Finished)
    assert (end.built, end.reused, end.failed, end.skipped) == (1, 0, 1, 1)


def test_what_is_about_a_machine_names_it() -> None:
    said = {"kiosk": [Stage(name="pack", state="start"), Note(text="its words")]}
    stage, note = told(said)[1:3]
    assert isinstance(stage, Stage)
    assert isinstance(note, Note)
    assert (stage.machine, stage.title) == ("kiosk", "kiosk pack")
    assert note.text == "kiosk: its words"


def test_a_note_of_several_machines_is_told_once_and_names_them() -> None:
    heard: list[Event] = []
    joined = Joined(heard.append)
    hear = {name: joined.hearing(name) for name in ("web", "kiosk", "box")}

    def say(text: str, *names: str) -> None:
        for name in names:
            hear[name](Note(text=text, level="warning"))

    def texts() -> list[str]:
        found = [each.text for each in heard if isinstance(each, Note)]
        heard.clear()
        return found

    say("no limits", "web", "kiosk", "box")
    say("a line without effect", "kiosk", "box")
    assert texts() == []
    joined.plan([WEB, KIOSK], joint_names(ALIKE))
    assert isinstance(heard[-1], Planned)
    assert texts() == ["all 3 machines: no limits", "kiosk, box: a line without effect"]
    say("the disk is nearly full", "web")
    assert texts() == ["web: the disk is nearly full"]  # at once
    for name in ("web", "kiosk"):
        hear[name](events.Finished(built=0, reused=1, failed=0, skipped=1, seconds=1))
        say("two packages have this file", name)
    joined.finish(9.0)
    assert isinstance(heard[-1], events.Finished)
    assert texts() == ["web, kiosk: two packages have this file"]


def test_a_display_may_stop_a_package_by_its_joint_name() -> None:
    heard: list[Event] = []
    joined = Joined(heard.append)
    joined.plan([WEB, KIOSK], joint_names(ALIKE))
    assert joined.id_of(f"{JQ}@kiosk") == JQ
    assert joined.id_of("other") == "other"
