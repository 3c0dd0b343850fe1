"""`cloche serve` and its subcommands, as people type them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.service.serving import (
    Server,
    add_package,
    add_target,
    served,
    server_of,
    token_named,
    written_project,
)
from tests.service.test_service_database import made_older
from tests.support import Store, project
from tests.targets.described import PROJECT, described, entry

from cloche.service.files import locked
from cloche.service.sqlite import is_older
from cloche.service.values import Payer, Work
from cloche.targets.levels import Level


def run(server: Server, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run `cloche serve WORDS` in the project of a server, with its store."""
    before = server.command[: server.command.index("serve") + 1]
    done = subprocess.run(
        [*before, *words], cwd=server.place, env=server.environment, capture_output=True, text=True
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


def said(server: Server, *words: str) -> Any:
    """What a subcommand prints as JSON."""
    return json.loads(run(server, *words, "--json").stdout)


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """A server that does not run."""
    return server_of(written_project(tmp_path))


def test_tokens_are_listed_without_secrets_and_revoked(server: Server) -> None:
    made = said(server, "token", "add", "laptops", "--quota", "60")
    listed = {each["id"]: each for each in said(server, "token", "list")}
    assert listed[made["id"]]["quota"] == 60
    assert made["token"] not in run(server, "token", "list").stdout
    with served(server):
        assert server.ask("GET", "/api/v1/targets", made["token"]).status_code == 200
        run(server, "token", "revoke", made["id"])
        assert server.ask("GET", "/api/v1/targets", made["token"]).status_code == 401
    assert "unknown valid token" in run(server, "token", "revoke", made["id"], status=2).stderr


def test_a_token_is_revoked_with_those_of_its_targets(server: Server) -> None:
    made = said(server, "token", "add", "laptops")
    target = add_target(server, owner=made["id"])
    own = token_named(server, target["token"]).id
    with server.database() as database:
        database._do("UPDATE tokens SET account = ? WHERE id = ?", made["id"], own)
    (seen,) = said(server, "targets")
    assert seen["owner"] == made["id"]
    assert f"enrolled with laptops ({made['id']})" in run(server, "targets").stdout
    words = ("token", "revoke", made["id"], "--with-targets")
    shown = said(server, *words, "--pretend")
    assert shown == {"tokens": [made["id"], own], "revoked": False}
    kept = run(server, "token", "revoke", made["id"]).stderr
    assert "1 token of targets that it enrolled stay valid; see --with-targets" in kept
    assert said(server, *words) == {"tokens": [own], "revoked": True}
    states = {each["id"]: each["revoked"] for each in said(server, "token", "list")}
    assert states[made["id"]]
    assert states[own]
    assert "unknown valid token" in run(server, *words, status=2).stderr
    assert [each["id"] for each in said(server, "targets")] == [target["id"]]


def test_a_quota_is_shown_changed_and_shared_by_a_later_token(server: Server) -> None:
    made = said(server, "token", "add", "laptops", "--quota", "60")
    target = add_target(server, owner=made["id"])
    with server.database() as database:
        first = token_named(server, target["token"]).id
        database._do("UPDATE tokens SET account = ?, quota = 60 WHERE id = ?", made["id"], first)
        database.charge([made["id"]], 20.0, time.time())
    again = said(server, "token", "add", "larry", "--target", target["id"])
    with server.database() as database:
        database._do("UPDATE tokens SET inject = 1 WHERE id = ?", first)
    words = ("token", "add", "x", "--role", "read", "--target", target["id"])
    assert "note: another token of the target has" in run(server, *words).stderr
    run(server, "token", "revoke", said(server, "token", "list")[-1]["id"])
    assert token_named(server, again["token"]).payer == Payer(made["id"], 60)
    lines = run(server, "token", "list").stdout.splitlines()
    (line,) = (each for each in lines if each.startswith(again["id"]))
    assert line.endswith(f"enrolled with laptops ({made['id']})  20 of 60 s a day")
    with server.database() as database:
        database._do("UPDATE tokens SET account = 'open ::1' WHERE id = ?", again["id"])
    listed = run(server, "token", "list").stdout
    assert "enrolled without a token, from ::1" in listed
    with server.database() as database:
        database._do("UPDATE tokens SET account = ? WHERE id = ?", made["id"], again["id"])
    changed = run(server, "token", "change", first, "--quota", "90").stderr
    assert "has a quota of 90 s of building a day, shared with 3 other tokens" in changed
    listed = {each["id"]: each for each in said(server, "token", "list")}
    for id in (made["id"], first, again["id"]):
        assert (listed[id]["quota"], listed[id]["charged"]) == (90, 20.0)
    run(server, "token", "change", made["id"], "--no-quota")
    assert token_named(server, again["token"]).quota is None
    words = ("token", "add", "x", "--target", target["id"], "--quota", "5")
    assert "the quota of the one that enrolled it" in run(server, *words, status=2).stderr
    assert "either --quota or --no-quota" in run(server, "token", "change", first, status=2).stderr
    assert "unknown token" in run(server, "token", "change", "x", "--no-quota", status=2).stderr
    huge = run(server, "token", "add", "x", "--quota", "9" * 5000, status=2).stderr
    assert "is not a number from 1 to 999999999" in huge


def test_a_token_that_would_see_all_or_nothing_is_refused(server: Server) -> None:
    target = add_target(server)
    words = ("token", "add", "x", "--role", "admin", "--target", target["id"])
    assert "role admin is for all targets" in run(server, *words, status=2).stderr
    refused = run(server, "token", "add", "x", "--role", "read", status=2).stderr
    assert "would see nothing without a target; name one with --target" in refused
    said(server, "token", "add", "x", "--role", "read", "--target", target["id"])


def test_options_before_a_subcommand_count_or_are_refused(server: Server) -> None:
    other = server.place / "other"
    made = json.loads(run(server, "--state", "other", "token", "add", "me", "--json").stdout)
    assert (other / "service.sqlite").exists()
    listed = json.loads(run(server, "token", "list", "--json", "--state", "other").stdout)
    assert [each["id"] for each in listed] == [made["id"]]
    assert made["id"] not in {each["id"] for each in said(server, "token", "list")}
    refused = run(server, "--keep-days", "7", "prune", status=2).stderr
    assert "--keep-days does not count for a subcommand of `cloche serve`" in refused
    assert "see `cloche serve prune --help`" in refused


def test_targets_are_changed_and_removed(server: Server) -> None:
    target = add_target(server)
    run(server, "target", "change", target["id"], "--level", "3b", "--name", "laptop")
    (seen,) = said(server, "targets")
    assert (seen["level"], seen["name"]) == ("3b", "laptop")
    assert "nothing is to change" in run(server, "target", "change", "x", status=2).stderr
    shown = said(server, "target", "remove", target["id"], "--pretend")
    assert (len(shown["tokens"]), shown["removed"]) == (1, False)
    with served(server):
        assert server.ask("GET", "/api/v1/targets", target["token"]).status_code == 200
        assert (
            "1 token and 0 builds removed" in run(server, "target", "remove", target["id"]).stderr
        )
        assert server.ask("GET", "/api/v1/targets", target["token"]).status_code == 401
    assert said(server, "targets") == []
    assert "unknown target" in run(server, "target", "remove", target["id"], status=2).stderr


def test_a_target_of_which_a_proof_fails_is_named(server: Server) -> None:
    target = add_target(server)
    server.state.description(target["digest"]).unlink()
    with served(server):
        end = time.monotonic() + 30
        while not (health := server.ask("GET", "/health").json())["proofs_failing"]:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert (health["state"], health["proofs_failing"]) == ("ok", 1)
        assert "\ncloche_proofs_failing 1.0\n" in server.ask("GET", "/metrics").text
        path = f"/api/v1/targets/{target['id']}"
        (fault,) = server.ask("GET", path, target["token"]).json()["faults"]
        assert "level 3a could not be proven (1 time): the description of the target is" in fault
        headers = {"Cookie": f"cloche_token={target['token']}"}
        page = server.ask("GET", f"/targets/{target['id']}", headers=headers).text
        assert f'<p class="failure">{fault}</p>' in page
        assert "not proven" in server.ask("GET", "/targets", headers=headers).text
    assert fault in run(server, "targets").stdout


def test_what_would_be_removed_is_shown_and_then_removed(server: Server) -> None:
    target = add_target(server)
    kept = add_package(server, target, "app-misc/kept-1", days=40)
    old = add_package(server, target, "app-misc/old-1", b"x" * 2048, offer=False, days=40)
    shown = said(server, "prune", "--dry-run")
    assert (shown["packages"], shown["bytes"], shown["removed"]) == ([old], 2048, False)
    assert (server.state.pool / old).exists()
    assert "1 package (2.0 KiB)" in run(server, "prune", "--dry-run").stderr
    assert said(server, "prune")["packages"] == [old]
    assert not (server.state.pool / old).exists()
    assert (server.state.pool / kept).exists()
    assert said(server, "prune")["packages"] == []


def test_a_unit_starts_the_same_command_line(server: Server) -> None:
    unit = run(server, "--port", "443", "--keep-days", "5", "--print", "systemd").stdout
    (line,) = (line for line in unit.splitlines() if line.startswith("ExecStart="))
    own = f"-C {server.place} --store {server.place}/no-store serve --port 443 --keep-days 5"
    assert line.endswith(own)


def test_a_unit_keeps_what_the_environment_says(server: Server) -> None:
    assert server.environment is not None
    for name in ("ca", "cert", "key"):
        (server.place / name).touch()
    (server.place / "service").chmod(0o755)
    own = {f"CLOCHE_TLS_{name.upper()}": str(server.place / name) for name in ("ca", "cert", "key")}
    more = {"CLOCHE_ENGINE": "chroot", "GNUPGHOME": "/keys", "CLOCHE_STORE": "/store"}
    server.environment = {**server.environment, **own, **more}
    words = ("--cluster", "build1", "--limit", "queue=5", "--limit", "atoms=7", "--user", "nobody")
    unit = run(server, *words, "--print", "systemd").stdout
    assert "\nUser=nobody\n" in unit
    assert '\nEnvironment="GNUPGHOME=/keys"\n' in unit
    (line,) = (line for line in unit.splitlines() if line.startswith("ExecStart="))
    assert f" --cluster-cert {server.place}/cert --cluster-key {server.place}/key" in line
    assert " --limit queue=5 --limit atoms=7 " in line
    assert line.endswith(" --engine chroot")


def test_who_enrols_without_a_token_has_the_quota_that_is_said(server: Server) -> None:
    assert (
        "--open-quota needs --open-enrolment" in run(server, "--open-quota", "5", status=2).stderr
    )
    unit = run(server, "--open-enrolment", "--open-quota", "0", "--print", "systemd").stdout
    assert " --open-enrolment --open-quota 0" in unit


def test_files_of_a_clusters_tls_are_named_as_the_options_are(server: Server) -> None:
    (server.place / "ca").touch()
    said = run(server, "--cluster", "x", "--cluster-ca", "ca", status=2).stderr
    assert "TLS needs --cluster-cert, --cluster-key, too" in said
    assert "need --cluster" in run(server, "--cluster-ca", "ca", status=2).stderr


def test_the_port_of_another_program_is_named(server: Server) -> None:
    with served(server):
        other = server_of(server.place, "--state", "other")
        port = server.url.rpartition(":")[2]
        assert f"127.0.0.1:{port}" in run(other, "--port", port, "--state", "x", status=3).stderr
        said = run(server, "--port", "0", status=3).stderr
        assert "another `cloche serve` uses this directory" in said


def test_the_database_of_an_older_service_stays_as_it_is_while_that_runs(server: Server) -> None:
    with server.database() as database:
        made_older(database, 4)
    before = server.state.database.read_bytes()
    with locked(server.state.lock) as held:  # as the older one does
        assert held
        said = run(server, "token", "list", status=2).stderr
    assert len(said.splitlines()) == 1
    assert "its format is 4, this cloche reads 5; start `cloche serve` of this cloche" in said
    assert is_older(server.state.database)
    assert server.state.database.read_bytes() == before
    assert len(run(server, "token", "list").stdout.splitlines()) == 1
    assert not is_older(server.state.database)


def test_a_missing_extra_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "fastapi.py").write_text("raise ImportError(name='fastapi')")
    assert server.environment is not None
    path = f"{tmp_path}:{':'.join(sys.path)}"
    server.environment = {**server.environment, "PYTHONPATH": path}
    done = run(server, "--port", "0", status=3)
    assert done.stderr == (
        "cloche: fastapi is not installed; run `pip install 'cloche[serve]'`, or in a checkout "
        "`.venv/bin/pip install -e '.[serve]'`\n"
    )


@pytest.mark.parametrize(
    "words",
    [("targets",), ("token", "list"), ("prune",), ("plan",), ("--port", "0"),
     ("target", "remove", "0" * 12), ("--print", "systemd")],
)  # fmt: skip
def test_no_command_fails_with_a_bug_without_the_extra(
    server: Server, tmp_path: Path, words: tuple[str, ...]
) -> None:
    add_target(server)
    for name in ("fastapi", "starlette", "uvicorn", "jinja2", "prometheus_client"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError(name='{name}')")
    assert server.environment is not None
    path = f"{tmp_path}:{':'.join(sys.path)}"
    server.environment = {**server.environment, "PYTHONPATH": path}
    before = server.command[: server.command.index("serve") + 1]
    done = subprocess.run(
        [*before, *words], cwd=server.place, env=server.environment, capture_output=True, text=True
    )
    assert "a bug" not in done.stderr
    assert done.returncode == 0 or "cloche[serve]" in done.stderr


def test_the_service_starts_without_the_extra_of_clusters(server: Server, tmp_path: Path) -> None:
    for name in ("backports", "distributed", "dask"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError(name='{name}')")
    assert server.environment is not None
    path = f"{tmp_path}:{':'.join(sys.path)}"
    server.environment = {**server.environment, "PYTHONPATH": path}
    with served(server):
        assert server.ask("GET", "/health").status_code == 200


@pytest.mark.real
def test_the_costs_of_levels_are_shown(root_seeded: Store, tmp_path: Path) -> None:
    store = root_seeded.copy(tmp_path / "store")
    server = server_of(project(store, PROJECT), store=store.path)
    old = {"dev-libs/leaf-1.0": entry("0/1", iuse="veins")}
    new = {"dev-libs/leaf-2.0": entry("0/2", iuse="veins")}
    for number, (packages, flags) in enumerate(((old, "-O1"), (old, "-O2"), (new, "-O2"))):
        description = described(packages, {"CFLAGS": flags})
        add_target(server, f"{number:012}", description=description)
    found = said(server, "plan", "app-misc/tree")
    counts = {each["level"]: each["environments"] for each in found["levels"]}
    assert (counts["1"], counts["2"], counts["3a"]) == (1, 2, 3)
    assert found["default"] == "3a"
    text = run(server, "plan", "app-misc/tree").stdout
    assert "USE flags and keywords" in text
    assert text.splitlines()[-1].startswith("The default is 3a: ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(server: Server, number: signal.Signals) -> None:
    target = add_target(server)
    with server.database() as database:
        work = Work(target["digest"], Level.ABI, (), False)
        database.add_build("b" * 16, work, ("app-misc/x",), time.time(), "")
        database.ask("b" * 16, target["id"], "none")
    with served(server):
        events = f"/api/v1/builds/{'b' * 16}/events"
        with server.ask("GET", events, target["token"], stream=True) as followed:
            began = time.monotonic()
            assert server.stop(number) == 0
            assert time.monotonic() - began < 30  # those who follow events do not hold it up
            assert b"retry" in followed.content
    assert "Traceback" not in server.log.read_text()


@pytest.mark.real
def test_what_runs_at_the_end_goes_on_at_the_next_start(root_seeded: Store, tmp_path: Path) -> None:
    store = root_seeded.copy(tmp_path / "store")
    server = server_of(project(store, PROJECT), store=store.path)
    with served(server):
        target = server.enrol(described(), server.token())
        wants = f"/api/v1/targets/{target['id']}/wants?want=app-misc/stone"
        asked = server.ask("POST", wants, target["token"]).json()
        for event in server.follow(asked["events"], target["token"]):
            if event["event"] == "started":
                break
        assert server.stop() == 0
    with server.database() as database:
        build = database.build(asked["build"])
    assert (build.state, build.attempts) == ("queued", 0)
    with served(server):
        *_, end = server.follow(asked["events"], target["token"])
        assert (end["event"], end["state"]) == ("end", "done")
