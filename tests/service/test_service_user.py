"""The service of an ordinary user: builds happen in a user namespace, the files stay the user's."""

from __future__ import annotations

import pwd

import pytest
from tests.service.serving import Server, served
from tests.support import Store, project
from tests.targets.described import PROJECT, described

pytestmark = pytest.mark.real


def test_an_ordinary_user_serves(ordinary_seeded: Store, fresh: object) -> None:
    store: Store = fresh(ordinary_seeded)  # type: ignore[operator]
    place = project(store, PROJECT)
    added = store.cloche("serve", "token", "add", "me", "--role", "admin", cwd=place, check=True)
    command = store.user.command("--store", store.path, "serve", "--port", "0")
    environment = store.user.environment(None)
    with served(Server(place, command, environment=environment)) as server:
        target = server.enrol(described(), added.stdout.strip())
        ended = server.build(target, "app-misc/stone", "app-misc/broken")
        assert ended["state"] == "failed"
        assert [each["accepted"] for each in ended["packages"]] == [True]
        log = f"/api/v1/builds/{ended['build']}/log/app-misc/broken-1"
        assert "the wind is too strong" in server.ask("GET", log, target["token"]).text
        path = server.index(target)["app-misc/stone-1"]["PATH"]
        answer = server.ask("GET", f"{target['binhost']}/{path}", target["token"])
        assert answer.status_code == 200
        owner = pwd.getpwnam(store.user.name).pw_uid
        assert {file.stat().st_uid for file in server.state.path.rglob("*")} == {owner}
        assert server.stop() == 0
