"""What can be asked after a build, and while one runs: log, history, report."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloche.display.text import seconds
from support import Store

pytestmark = [pytest.mark.real, pytest.mark.seed]

BROKEN = """EAPI=8
DESCRIPTION="Does not compile"
LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="amd64"
S="${WORKDIR}"
src_compile() {
	echo 'int main(void){ return y; }' > broken.c
	echo '</script><script>window.evil=1</script>'
	sleep 2
	gcc -c broken.c || die "gcc said no"
}
"""


def machines(store: Store) -> Path:
    """A new project with a second machine, one of whose packages does not compile."""
    project = store.user.home / f"after-{time.monotonic_ns()}"
    store.cloche("init", project, check=True)
    place = project / "repo/app-misc/broken"
    place.mkdir()
    (place / "broken-1.ebuild").write_text(BROKEN)
    wanted = ("seed", "profile", "portage")
    first = (project / "machines/first.toml").read_text().splitlines()
    text = [line for line in first if line.startswith(wanted)]
    (project / "machines/bad.toml").write_text(
        "\n".join([*text, 'packages = ["app-misc/broken", "app-misc/greeting"]', ""])
    )
    store.user.own(project)
    return project


@pytest.fixture(scope="module")
def failed(
    root_seeded: Store, ground: Path
) -> Iterator[tuple[Store, Path, subprocess.CompletedProcess[str]]]:
    """A build in which one of two packages failed."""
    (ground / "after").mkdir()
    store = root_seeded.copy(ground / "after" / "store")
    project = machines(store)
    yield store, project, store.cloche("build", "bad", "-k", "--progress", "plain", cwd=project)
    subprocess.run(["rm", "-rf", ground / "after"], check=False)


def test_a_failure_prints_the_compilers_error_and_the_way_into_its_root(failed) -> None:
    store, project, done = failed
    assert done.returncode == 1
    assert "broken.c:1:24: error:" in done.stderr
    assert "If you need support" not in done.stderr
    command = "cloche shell bad --package =app-misc/broken-1"
    assert f"inspect its root: {command}" in done.stderr
    inside = store.cloche(*command.split()[1:], "--", "cat", "broken.c", cwd=project)
    assert "return y" in inside.stdout


def test_a_log_is_shown_by_phase_whether_it_is_compressed_or_not(failed) -> None:
    store, project, _ = failed
    plain = store.cloche("log", "broken", "--phase", "compile", cwd=project, check=True).stdout
    assert "broken.c:1:24: error:" in plain
    assert "Unpacking" not in plain
    path = store.cloche("log", "greeting", "--path", cwd=project, check=True).stdout.strip()
    assert path.endswith("-build.log.gz")
    assert Path(path).read_bytes()[:2] == b"\x1f\x8b"
    install = store.cloche("log", "greeting", "--phase", "install", cwd=project, check=True).stdout
    assert install.startswith("\n>>> Install app-misc/greeting")
    wrong = store.cloche("log", "greeting", "--phase", "nope", cwd=project)
    assert wrong.returncode == 2
    assert "it has setup, unpack" in wrong.stderr


def test_history_has_what_was_built_and_what_failed(failed) -> None:
    store, project, _ = failed
    run = json.loads(store.cloche("history", "greeting", "--json", cwd=project).stdout)[-1]
    assert run["result"] in ("first", "same", "different")  # others may have built it before
    assert run["package"] == "app-misc/greeting-1::local"
    assert 0 < run["build"] < 300
    told = store.cloche("history", "broken", "--json", cwd=project, check=True).stdout
    broken = json.loads(told)[-1]
    assert (broken["result"], broken["failed"], broken["merge"]) == ("failed", "build", None)
    assert 0 < broken["build"] < 300
    assert "build failed" in store.cloche("history", "broken", cwd=project).stdout
    assert store.cloche("history", "nothing-like-it", cwd=project).returncode == 2


def test_a_report_is_kept_from_collection_and_holds_the_logs(failed) -> None:
    store, project, _ = failed
    done = store.cloche("report", "bad", cwd=project, check=True)
    page = Path(done.stdout.strip())
    assert page == project / "out/bad/report.html"
    text = page.read_text()
    assert "broken.c:1:24" in text
    assert "<script>window" not in text
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    assert {p["name"]: p["how"] for p in data["packages"]} == {
        "app-misc/broken-1": "failed",
        "app-misc/greeting-1": "built",
    }
    logs = {p["name"]: [log["step"] for log in p["logs"]] for p in data["packages"]}
    assert logs == {"app-misc/broken-1": ["build"], "app-misc/greeting-1": ["build", "merge"]}
    store.cloche("store", "gc", cwd=project, check=True)
    assert store.cloche("report", "bad", cwd=project).returncode == 0
    unknown = store.cloche("report", "never-built", cwd=project)
    assert unknown.returncode == 2
    assert "no machine is called “never-built”; there is: bad, first" in unknown.stderr


def test_each_build_of_a_machine_can_be_asked_for(failed) -> None:
    store, project, _ = failed
    (project / "cloche.toml").write_text(
        (project / "cloche.toml").read_text() + "\n[build]\nrecords = 2\n"
    )
    (project / "machines/good.toml").write_text(
        (project / "machines/bad.toml").read_text().replace('"app-misc/broken", ', "")
    )
    for _ in range(4):
        store.cloche("build", "good", cwd=project, check=True)
    told = store.cloche("history", "good", "--json", cwd=project, check=True).stdout
    builds = [(b["number"], b["result"], b["built"] + b["reused"]) for b in json.loads(told)]
    assert builds == [(1, "done", 1), (4, "done", 1)]  # what did nothing takes no place
    store.cloche("build", "good", "--package", "greeting", cwd=project, check=True)
    told = store.cloche("history", "good", "--json", cwd=project, check=True).stdout
    # The last build of the whole machine stays when one of a part follows it.
    assert [(b["number"], b["result"]) for b in json.loads(told)] == [
        (number, "done") for number in (1, 4, 5)
    ]
    bad = json.loads(store.cloche("history", "bad", "--json", cwd=project, check=True).stdout)
    assert [(b["number"], b["result"], b["failed"]) for b in bad] == [(1, "failed", 1)]
    gone = store.cloche("report", "good", "--build", "2", cwd=project)
    assert gone.returncode == 2
    assert "no build 2 is recorded" in gone.stderr
    page = project / "good.html"
    for build in ("5", "last-built"):
        done = store.cloche("report", "bad" if build == "last-built" else "good",
                            "--build", build, "-o", page, cwd=project)  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert "broken.c:1:24" in page.read_text()


CHANGES = """EAPI=8
DESCRIPTION="Fails in its {phase} phase, or does not"
SLOT="0"
KEYWORDS="amd64"
S="${{WORKDIR}}"
src_compile() {{ sleep 1; }}
{phase}() {{ {code}; }}
"""


def test_a_failure_is_not_what_was_built_last(
    root_seeded: Store, fresh: Callable[[Store], Store]
) -> None:
    """What why, history and log say of a build and a merge that fail, work, and fail again."""
    store = fresh(root_seeded)
    project = machines(store)
    packages = {"compiles": "src_install", "merges": "pkg_preinst"}
    head = (project / "machines/bad.toml").read_text().splitlines()[:-1]
    words = [f"app-misc/{name}" for name in packages]
    (project / "machines/both.toml").write_text("\n".join([*head, f"packages = {words}", ""]))

    def built(code: str, status: int) -> None:
        for name, phase in packages.items():
            place = project / f"repo/app-misc/{name}/{name}-1.ebuild"
            place.parent.mkdir(exist_ok=True)
            place.write_text(CHANGES.format(phase=phase, code=code))
        done = store.cloche("build", "both", "-k", "--progress", "plain", cwd=project)
        assert done.returncode == status, done.stderr

    def said(*words: str) -> str:
        done = store.cloche(*words, cwd=project, check=True)
        return done.stdout + done.stderr

    built('die "first"', status=1)
    for name, step in (("compiles", "build"), ("merges", "merge")):
        why = said("why", name)
        assert re.search(rf"^  its {step} failed 20[-0-9]+ [:0-9]+$", why, re.MULTILINE), why
        assert "first" in said("log", name)
        assert f"{step} failed" in said("history", name).splitlines()[-1]
    assert "last built" not in said("why", "compiles")
    assert "not built yet" in said("why", "compiles")
    why = said("why", "merges")  # the package was built, and its layer was not made
    assert why.count("last built") == why.count(", but not merged") == 1

    built(":", status=0)
    for name in packages:
        run = json.loads(said("history", name, "--json"))[-1]
        assert (run["failed"], run["build"] > 1, run["merge"] > 0) == (None, True, True)
        (told,) = re.findall(r"^  last built 20[-0-9]+ [:0-9]+ in (.*)$", said("why", name), re.M)
        assert told == seconds(run["build"] + run["merge"])
        assert "failed" not in said("why", name)
        # The merge's log is newer; what people mean is the build's.
        newest = [said("log", name, *step, "--path").strip() for step in ((), ("--step", "merge"))]
        assert newest[0].endswith("-build.log.gz")
        assert Path(newest[0]).name < Path(newest[1]).name
        assert ">>> Compiling source" in said("log", name)

    before = {name: said("why", name).partition("last built")[2].split()[:2] for name in packages}
    built('die "again"', status=1)
    why = said("why", "compiles")
    assert why.partition("last built")[2].split()[:2] == before["compiles"]
    assert "  its build failed 20" in why
    assert "again" in said("log", "compiles")
    lines = said("history", "compiles").splitlines()
    results = [line.rpartition("compiles-1")[2].strip() for line in lines if "compiles-1" in line]
    assert results == ["build failed", "new layer", "build failed"]


def test_emerge_is_usable_in_a_machines_shell(failed) -> None:
    store, project, _ = failed
    (project / "machines/usable.toml").write_text(
        (project / "machines/bad.toml").read_text().replace('"app-misc/broken", ', "")
    )
    store.cloche("build", "usable", cwd=project, check=True)
    other = store.path / "logs/machine/greeting"
    other.mkdir()
    (other / "29990101-000000-000-index.log").touch()  # an empty log stays as it is
    shown = store.cloche("log", "greeting", "--path", cwd=project, check=True).stdout
    assert "/app-misc/greeting-1/" in shown  # not a machine's of that name
    for more in ("--pretend", "--usepkgonly"):
        words = ("emerge", "--oneshot", more, "app-misc/greeting")
        done = store.cloche("shell", "usable", "--", *words, cwd=project)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "app-misc/greeting-1" in done.stdout
        assert "invalid" not in done.stdout + done.stderr
    for machine, name in (("usable", "greeting"), ("bad", "broken")):  # the second has failed
        words = ("--package", name, "--", "emerge", "--pretend", f"app-misc/{name}")
        done = store.cloche("shell", machine, *words, cwd=project)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"app-misc/{name}-1" in done.stdout


def test_a_report_is_of_this_project_not_of_another_machine_of_that_name(
    failed, tmp_path: Path
) -> None:
    store, project, _ = failed
    other = shutil.copytree(project, tmp_path / "other", symlinks=True)
    said = store.cloche("report", "bad", cwd=other)
    assert said.returncode == 2
    assert "machine bad: not built yet" in said.stderr


def test_a_running_build_is_followed_to_its_end(
    root_seeded: Store, fresh: Callable[[Store], Store]
) -> None:
    store = fresh(root_seeded)
    project = machines(store)
    build = store.user.start("--store", store.path, "build", "bad", "-k", cwd=project)
    try:
        logs = store.path / "logs/app-misc/broken-1"
        known = set(logs.glob("*-build.log"))
        deadline = time.monotonic() + 120
        while not set(logs.glob("*-build.log")) - known:
            assert build.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        followed = store.cloche("log", "broken", "--follow", cwd=project, timeout=120)
    finally:
        build.wait(120)
    assert "broken.c:1:24: error:" in followed.stdout
    assert "gcc said no" in followed.stdout
