"""Following an emerge, piece by piece: its log, its stream, what becomes of looks."""

import json
import os
import socket
import threading
from pathlib import Path

import pytest

from cloche.records.events import Done, Event, Finished, Logging, Phase, Planned, Started
from cloche.watch import emergelog, processes
from cloche.watch.follow import Doing, Follower, Look
from cloche.watch.observed import Observer, decode
from cloche.watch.processes import Emerge, running_emerges
from cloche.watch.resolution import read_answer
from cloche.watch.watching import seen

LOG = (Path(__file__).with_name("emerge.log")).read_text().splitlines()  # of Portage 3.0.83
BEGAN = 1795214816.9
SNAPSHOT = {
    "type": "snapshot", "schema": 1, "emerge_pid": 7, "timestamp": 1.0,
    "jobs": {"running": 1, "max": 2, "completed": 0, "total": 3, "failed": 0},
    "tasks": [
        {"cpv": "a/b-1", "kind": "build", "phase": "compile", "merge_wait": False,
         "start_time": 5.0, "pid": 99, "resources": {"cpu_usec": 1}},
    ],
}  # fmt: skip


def test_the_log_tells_what_runs_and_what_is_done() -> None:
    logged = emergelog.read_run(LOG[:12], BEGAN)
    assert logged.running == {"app-misc/two-1": "build"}
    assert logged.completed == {"app-misc/one-1": 6.0}
    assert (logged.total, logged.ended) == (3, False)
    assert emergelog.read_run(LOG[:6], BEGAN).running == {"app-misc/one-1": "merge"}
    assert emergelog.read_run(LOG, BEGAN).ended


def test_what_was_before_the_run_is_not_its_own() -> None:
    assert emergelog.read_run(LOG, BEGAN + 1000) == emergelog.Logged()


def test_earlier_runs_give_medians() -> None:
    earlier = emergelog.earlier_seconds(LOG, BEGAN + 1000)
    assert earlier == {"app-misc/one": 6.0, "app-misc/two": 7.0, "app-misc/three": 5.0}
    assert emergelog.expected(["app-misc/two-2::x", "a/b-1"], earlier) == {"app-misc/two-2::x": 7.0}
    assert emergelog.earlier_seconds(LOG, BEGAN) == {}


def test_only_snapshots_are_read() -> None:
    snapshot = decode(json.dumps(SNAPSHOT).encode())
    assert snapshot is not None
    assert snapshot.by_cpv()["a/b-1"].phase == "compile"
    assert decode(b'{"type": "later", "emerge_pid": 7}') is None
    assert decode(b"{") is None
    assert decode(b'{"type": "snapshot", "emerge_pid": "x"}') is None


def test_a_stream_is_read_as_it_comes_and_the_file_where_there_is_none(tmp_path: Path) -> None:
    run = tmp_path / "run/portage"
    run.mkdir(parents=True)
    observer = Observer(tmp_path, 7)
    assert observer.look(0.1) is None
    (run / "emerge-7.json").write_text(json.dumps(SNAPSHOT))
    told = observer.look(0.1)
    assert told is not None
    assert not observer.streams
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(run / "emerge-7.sock"))
        server.listen()

        def serve() -> None:
            client, _ = server.accept()
            with client:
                text = json.dumps({**SNAPSHOT, "tasks": []}).encode() + b"\n"
                client.sendall(text[:20])
                client.sendall(text[20:])

        thread = threading.Thread(target=serve)
        thread.start()
        observer.look(1.0)
        thread.join()
        told = observer.look(1.0)
    assert told is not None
    assert told.tasks == ()
    observer.close()


def test_a_file_of_somebody_else_is_not_believed(tmp_path: Path) -> None:
    run = tmp_path / "run/portage"
    run.mkdir(parents=True)
    (run / "emerge-8.json").write_text(json.dumps(SNAPSHOT))
    assert Observer(tmp_path, 8).look(0.1) is None


def test_sources_are_put_together() -> None:
    snapshot = decode(json.dumps(SNAPSHOT).encode())
    logged = emergelog.Logged(running={"a/b-1": "build", "a/c-1": "merge"})
    doing = seen(snapshot, logged, {"a/b-1": ("configure", "/log"), "a/c-1": ("postinst", None)})
    assert doing == {
        "a/b-1": Doing("build", "compile", "/log", 5.0),  # Portage's own word
        "a/c-1": Doing("merge", "postinst", None),
    }
    assert seen(None, None, {"a/d-1": ("test", None)}) == {"a/d-1": Doing("build", "test")}
    assert seen(snapshot, emergelog.Logged(completed={"a/b-1": 1.0}), {}) == {}


PLAN = Planned(machine="emerge c", packages=("a/b-1::r", "a/c-1::r", "a/d-1::r"), time=0.0)


def told(*looks: Look) -> list[Event]:
    follower = Follower(began=0.0, plan=PLAN)
    return [event for look in looks for event in follower.look(look)]


def names(events: list[Event]) -> list[str]:
    def name(event: Event) -> str:
        match event:
            case Started():
                return f"{event.step} {event.package}"
            case Logging():
                return f"logs to {event.log}"
            case Phase():
                return f"{event.phase} {event.state}"
            case Done():
                return f"{event.how} {event.package}"
        return type(event).__name__

    return [name(event) for event in events]


def test_a_package_goes_through_its_phases_to_its_end() -> None:
    events = told(
        Look(1, {"a/b-1": Doing("build", "unpack")}, {}),
        Look(2, {"a/b-1": Doing("build")}, {}),
        Look(3, {"a/b-1": Doing("build", "compile")}, {}),
        Look(4, {"a/b-1": Doing("merge", "preinst")}, {}),
        Look(5, {}, {"a/b-1": 4.5}),
        Look(6, {}, {"a/b-1": 4.5}),
    )
    assert names(events) == [
        "build a/b-1::r", "unpack start", "unpack end", "compile start", "compile end",
        "merge a/b-1::r", "preinst start", "preinst end", "built a/b-1::r",
    ]  # fmt: skip


def test_a_log_that_is_seen_late_is_told_once_and_kept() -> None:
    """Emerge tells of a package before its process is there; between two phases there is none."""
    events = told(
        Look(1, {"a/b-1": Doing("build")}, {}),
        Look(2, {"a/b-1": Doing("build", "compile", "/log")}, {}),
        Look(3, {"a/b-1": Doing("build", "compile")}, {}),
        Look(4, {}, {}, gone=True),
    )
    assert names(events)[:4] == [
        "build a/b-1::r", "logs to /log", "compile start", "compile end",
    ]  # fmt: skip
    (failed,) = [event for event in events if isinstance(event, Done) and event.how == "failed"]
    assert failed.log == "/log"


def test_what_was_done_before_anybody_looked_is_told_too() -> None:
    events = told(Look(1, {}, {"a/b-1": 3.0}))
    assert names(events) == ["built a/b-1::r"]
    assert isinstance(events[0], Done)
    assert events[0].seconds == 3.0


def test_what_runs_when_emerge_goes_has_failed_and_the_rest_is_skipped() -> None:
    events = told(
        Look(1, {"a/b-1": Doing("build", "compile", "/log")}, {}),
        Look(2, {}, {}, gone=True),
    )
    assert names(events)[-4:] == ["failed a/b-1::r", "skipped a/c-1::r", "skipped a/d-1::r",
                                  "Finished"]  # fmt: skip
    last = events[-1]
    assert isinstance(last, Finished)
    assert (last.built, last.failed, last.skipped) == (0, 1, 2)


def test_emerges_own_count_tells_of_a_failure_while_it_goes_on() -> None:
    looks = [Look(1, {"a/b-1": Doing("build")}, {}, failed=0)]
    looks += [Look(n, {"a/c-1": Doing("build")}, {}, failed=1) for n in range(2, 6)]
    assert "failed a/b-1::r" in names(told(*looks))


def test_without_a_log_what_is_seen_no_more_was_built() -> None:
    looks = [Look(1, {"a/b-1": Doing("merge")}, None, failed=0)]
    looks += [Look(n, {}, None, failed=0) for n in range(2, 6)]
    assert names(told(*looks))[-1] == "built a/b-1::r"


def test_an_answer_of_a_foreign_root_is_checked() -> None:
    good = read_answer(b'{"packages": [{"id": "a/b-1::r", "needs": []}]}', b"")
    assert (good.packages, good.log_dir, good.problem) == (("a/b-1::r",), None, None)
    none = read_answer(b'{"packages": null, "log_dir": "/var/log/emerge"}', b"")
    assert none.problem
    assert none.log_dir == "/var/log/emerge"
    assert read_answer(b'{"packages": [], "log_dir": "/../etc"}', b"").log_dir is None
    assert read_answer(b'{"packages": null}', b"").problem
    assert read_answer(b'{"packages": [{"id": 5}]}', b"").problem
    bad = read_answer(b"", b"Traceback\nValueError: x")
    assert bad.problem == "it could not be resolved again ValueError: x"


@pytest.mark.parametrize(
    ("argv", "root", "target"),
    [
        ((), "", ""),
        (("-1", "a/b"), "/mnt/gentoo", "/mnt/gentoo"),
        (("--root=/mnt/gentoo/", "a/b"), "", "/mnt/gentoo"),
        (("a/b", "--root", "/mnt/gentoo"), "/else", "/mnt/gentoo"),
        (("a/b", "--root"), "", ""),
    ],
)
def test_an_emerge_belongs_to_the_root_that_it_installs_to(
    argv: tuple[str, ...], root: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "environment_of", lambda _: {"ROOT": root} if root else {})
    emerge = Emerge(pid=7, inner=7, argv=argv, interpreter="/usr/bin/python3", began=0.0)
    assert emerge.target == Path(f"/proc/7/root{target}")


def test_this_test_is_no_emerge() -> None:
    assert os.getpid() not in [emerge.pid for emerge in running_emerges()]
