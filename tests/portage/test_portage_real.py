"""Portage itself reads what we write: the oracle for everything about make.conf and profiles."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cloche.config.project import load_project
from cloche.config.template import init
from cloche.portage.etc import portage_tree, repos_conf, write_tree
from cloche.portage.snapshot import snapshot

pytestmark = pytest.mark.real

ASK = """
import json, sys, portage
config = portage.config(config_root=sys.argv[1], target_root=sys.argv[1], eprefix="",
                        env={"PORTAGE_REPOSITORIES": sys.argv[2]})
print(json.dumps({"variables": {key: config.get(key, "") for key in sys.argv[3:]},
                  "all": sorted(config), "profiles": config.profiles,
                  "repos": [repo.name for repo in config.repositories]}))
"""


def test_portage_reads_a_machine_as_it_was_meant(tmp_path: Path) -> None:
    root = tmp_path / "root"
    init(tmp_path / "p")
    for name, text in {
        "base": 'USE="first -gone"\nCFLAGS="-O2"\nACCEPT_LICENSE="-* @FREE"\n',
        "second": 'USE="second"\nCFLAGS="${CFLAGS} -g"\nACCEPT_LICENSE="GPL-3"\n',
        "third": "USE='third'\n",
    }.items():
        (tmp_path / "p/portage" / name).mkdir(exist_ok=True)
        (tmp_path / "p/portage" / name / "make.conf").write_text(text)
    machine = tmp_path / "p/machines/first.toml"
    machine.write_text(machine.read_text().replace('["base"]', '["base", "second", "third"]'))
    project = load_project(tmp_path / "p")
    write_tree(portage_tree(project.machine("first"), project), root / "etc/portage")
    (root / "var/db/repos").mkdir(parents=True)
    snapshot(project.repos["local"].path, root / "var/db/repos/local")
    repos = repos_conf(project.repos, "local").replace("/var/db", f"{root}/var/db")
    asked = ("USE", "CFLAGS", "ACCEPT_LICENSE", "ACCEPT_KEYWORDS")
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(root), repos, *asked],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    said = json.loads(done.stdout)
    assert set(said["variables"]["USE"].split()) >= {"first", "second", "third"}
    assert said["variables"]["CFLAGS"] == "-O2 -g"
    assert set(said["variables"]["ACCEPT_LICENSE"].split()) == {"@FREE", "GPL-3"}
    assert said["variables"]["ACCEPT_KEYWORDS"] == "amd64"
    assert not [name for name in said["all"] if "CLOCHE" in name]
    assert said["repos"] == ["local"]
    assert [Path(path).name for path in said["profiles"]] == ["base", "default", "profile"]
    assert "!!!" not in done.stderr
