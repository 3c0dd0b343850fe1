"""`examples/fleet`: six machines, built by one command."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from test_machine_system import opened
from tests.support import ROOT, Store, project

pytestmark = pytest.mark.real

MACHINES = {"box", "builder", "kiosk", "router", "web", "web-trial"}
TREE = "app-text/tree-2.1.0::workbench"
HTTPD = "www-servers/mini-httpd-1.30::fleet"


def events(store: Store, place: Path) -> list[dict[str, Any]]:
    """Build all machines, as the README says."""
    done = store.cloche("build", "--all", "--progress", "json", cwd=place, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_fleet_is_built_by_one_command(root_seeded: Store, fresh) -> None:
    store = fresh(root_seeded)
    place = project(store, ROOT / "examples/fleet")
    text = (place / "cloche.toml").read_text()
    workbench = ROOT / "examples/workbench/repo"
    (place / "cloche.toml").write_text(text.replace("../workbench/repo", str(workbench)))
    told = events(store, place)
    (plan,) = (each for each in told if each["event"] == "planned")
    assert set(plan["machine"].split(", ")) == MACHINES
    assert set(plan["machines"][TREE]) == MACHINES - {"box"}
    variants = {name: each for name, each in plan["machines"].items() if name.startswith(HTTPD)}
    assert sorted(variants.values()) == [["web"], ["web-trial"]]
    steps = [(e["package"], e["step"]) for e in told if e["event"] == "started"]
    assert steps.count((TREE, "build")) == steps.count((TREE, "merge")) == 1
    assert {each["machine"] for each in told if each["event"] == "delivered"} == MACHINES

    again = events(store, place)
    assert {each["how"] for each in again if each["event"] == "done"} == {"reused"}
    ends = [each for each in again if each["event"] == "stage" and each["state"] == "end"]
    assert all(each["reused"] for each in ends)

    with opened(place / "out/box/stage4.tar.zst") as archive:
        programs = [each.name for each in archive if each.isreg() and each.mode & 0o111]
        assert programs == ["./usr/bin/dash"]
    differing = store.cloche("machine", "diff", "web", "web-trial", cwd=place, check=True)
    assert re.match(r"~ www-servers/mini-httpd 1\.30  USE \+htpasswd", differing.stdout)
    shell = store.cloche("shell", "router", "--", "cat", "/etc/ports", cwd=place, check=True)
    assert shell.stdout == "8888\n"
    rows = json.loads(store.cloche("machine", "list", "--json", cwd=place, check=True).stdout)
    assert {each["name"]: each["state"] for each in rows} == dict.fromkeys(MACHINES, "current")
