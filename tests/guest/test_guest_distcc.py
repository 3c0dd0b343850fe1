"""Which compiles of a build are sent elsewhere, and which distcc never sees."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.distcc.farm import shim

from cloche.guest import distcc

SENT = (
    ("cc", "-O2", "-c", "a.c"),
    ("cc", "-std=gnu17", "-Wall", "-MD", "-c", "a.c", "-o", "a.o"),
    ("c++", "-std=gnu++17", "-c", "a.cc"),
    ("c++", "-fno-exceptions", "-c", "a.cc"),
)
HERE = (
    ("cc", "-g", "-c", "a.c"),
    ("cc", "-ggdb3", "-c", "a.c"),
    ("cc", "-fsanitize=undefined", "-c", "a.c"),
    ("c++", "-std=c++20", "-c", "a.cc"),
    ("c++", "-std=gnu++2b", "-c", "a.cc"),
    ("cc", "-march=native", "-c", "a.c"),
    ("cc", "-x", "c", "-c", "a"),
    ("cc", "-c", "a.c", "-fstack-usage"),
    ("cc", "@words"),
)


@pytest.fixture
def send(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> distcc.Sender:
    """A sender whose distcc says what it is given; compilers only say their names."""
    monkeypatch.setattr(distcc, "PLACE", tmp_path / "place")
    for name in ("cc", "c++"):
        shim(tmp_path / "bin" / name, f'echo "here {name}"')
    program = shim(tmp_path / "bin/distcc", 'echo "sent $1 $DISTCC_HOSTS $DISTCC_BACKOFF_PERIOD"')
    made = distcc.Sender(str(program), 7)
    made.open({"PATH": "/usr/bin:/bin"})
    return made


@pytest.mark.parametrize("words", [*SENT, *HERE], ids=" ".join)
def test_compiles_whose_result_may_differ_stay_here(
    send: distcc.Sender, tmp_path: Path, words: tuple[str, ...]
) -> None:
    compiler = str(tmp_path / "bin" / words[0])
    done = subprocess.run(
        [send.send, compiler, *words[1:]], capture_output=True, text=True, check=True,
        env={"PATH": "/usr/bin:/bin", "DISTCC_HOSTS": "never"},
    )  # fmt: skip
    if words in HERE:
        assert done.stdout == f"here {words[0]}\n"
        return
    kind, name, first, *rest = done.stdout.split()
    assert (kind, name) == ("sent", compiler)
    assert first.startswith("127.0.0.1:")
    assert first.endswith("/7")
    assert rest[0].startswith("localhost/")
    assert rest[-1] == "2"  # with 0 distcc tries a dead host for ever


def test_cxx_of_a_later_default_stays_here(tmp_path: Path) -> None:
    for said, modern in (("201703L", False), ("202002L", True), ("199711L", False), ("x", True)):
        shim(tmp_path / "g++", f"echo {said}")
        assert distcc.is_modern(f"{tmp_path}:/bin") is modern
    assert distcc.is_modern(str(tmp_path / "none"))


def test_compilers_come_behind_scripts_until_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(distcc, "PLACE", tmp_path / "place")
    settings = {"PATH": "/usr/bin:/bin"}
    made = distcc.Sender("/usr/bin/distcc", 7)
    made.open(settings)
    assert settings["PATH"] == f"{tmp_path}/place/bin:/usr/bin:/bin"
    scripts = {path.name: path.read_text() for path in (tmp_path / "place/bin").iterdir()}
    assert all(f'{made.send} /usr/bin/{name} "$@"' in text for name, text in scripts.items())
    made.close(settings)
    assert settings["PATH"] == "/usr/bin:/bin"
    assert capsys.readouterr().out == "cloche: distcc: 0 compiled elsewhere\n"
