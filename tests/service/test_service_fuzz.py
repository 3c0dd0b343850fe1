"""What the API does with requests that nobody would write, generated from its own description."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from tests.service.serving import (
    Server,
    add_package,
    add_target,
    served,
    server_of,
    written_project,
)

from cloche.service.values import Work
from cloche.targets.levels import Level

CHECKS: tuple[Any, ...] = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
)
EXAMPLES = 25  # of each operation


@dataclass
class Fuzzed:
    """A server, what exists there, and how often it answered with each status."""

    server: Server
    known: dict[str, str]
    statuses: Counter[int] = field(default_factory=Counter)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    """A server with a target that has a package, and a build that failed."""
    server = server_of(written_project(tmp_path_factory.mktemp("fuzz")))
    target = add_target(server)
    category, name, file = add_package(server, target, "app-misc/tree-1").split("/")
    with server.database() as database:
        work = Work(target["digest"], Level.ABI, (), False)
        database.add_build("b" * 16, work, ("app-misc/tree",), time.time(), "")
        database.ask("b" * 16, target["id"], "none")
        database.end("b" * 16, "failed", time.time(), {"what": "no"})
    server.state.build("b" * 16).mkdir(parents=True)
    (server.state.build("b" * 16) / "events.jsonl").write_text('{"event":"end"}\n')
    known = {"target_id": target["id"], "build_id": "b" * 16}
    with served(server):
        yield Fuzzed(server, {**known, "category": category, "name": name, "file": file})


def test_every_answer_is_one_that_is_described(fuzzed: Fuzzed) -> None:
    api = schemathesis.openapi.from_url(f"{fuzzed.server.url}/api/v1/openapi.json")
    wrong = {}
    for result in api.get_all_operations():
        operation = result.ok()
        for known in ({}, {} if operation.method == "delete" else fuzzed.known):
            try:
                tried(operation, known, fuzzed)
            except (Exception, BaseExceptionGroup) as error:
                found = error.exceptions if isinstance(error, BaseExceptionGroup) else (error,)
                wrong[operation.label] = "\n".join(map(str, found))
    assert wrong == {}, "\n\n".join(f"{name}\n{text}" for name, text in wrong.items())
    assert {200, 202, 404, 409, 422} <= fuzzed.statuses.keys(), fuzzed.statuses


def tried(operation: Any, known: Mapping[str, str], fuzzed: Fuzzed) -> None:
    """Send generated requests to one operation. Raises what a check found."""
    token = fuzzed.server.token()  # each has a rate of its own

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def run(case: Any) -> None:
        names = case.path_parameters.keys() & known.keys()
        case.path_parameters.update({name: known[name] for name in names})
        headers = {"Authorization": f"Bearer {token}"}
        url = fuzzed.server.url
        answer = case.call_and_validate(base_url=url, headers=headers, timeout=30, checks=CHECKS)
        fuzzed.statuses[answer.status_code] += 1

    run()


def test_it_still_serves_as_before(fuzzed: Fuzzed) -> None:
    server = fuzzed.server
    assert server.process is not None
    assert server.process.poll() is None
    found = requests.get(f"{server.url}/health", timeout=10).json()
    assert found["state"] == "ok"
    assert "a bug in cloche" not in server.log.read_text()
