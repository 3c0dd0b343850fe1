"""Which compiles of a build are sent elsewhere, and which distcc never sees."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import BinaryIO

import pytest
from tests.distcc.farm import shim
from tests.support import cannot

from cloche.fetching.listening import unix_listener
from cloche.guest import compile_one, distcc

SENT = (
    ("cc", "-O2", "-c", "a.c"),
    ("cc", "-std=gnu17", "-Wall", "-MD", "-c", "a.c", "-o", "a.o"),
    ("c++", "-std=gnu++17", "-c", "a.cc"),
    ("c++", "-std=c++98", "-c", "a.cc"),
    ("c++", "-fno-exceptions", "-c", "a.cc"),
)
HERE = (
    ("cc", "-g", "-c", "a.c"),
    ("cc", "-ggdb3", "-c", "a.c"),
    ("cc", "-Wa,--gdwarf-5", "-c", "a.c"),
    ("cc", "-Wa,-mtune=generic,-gstabs", "-c", "a.c"),
    ("cc", "-Xassembler", "-g", "-c", "a.c"),
    ("cc", "--debug", "-c", "a.c"),
    ("c++", "--std=c++20", "-c", "a.cc"),
    ("c++", "--std", "c++20", "-c", "a.cc"),
    ("cc", "--language=c", "-c", "a"),
    ("cc", "-ftime-trace", "-c", "a.c"),
    ("cc", "-fverbose-asm", "-S", "a.c"),
    ("cc", "--coverage", "-c", "a.c"),
    ("cc", "-dA", "-S", "a.c"),
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


@pytest.mark.parametrize("name", ["COMPILER_PATH", "GCC_EXEC_PREFIX", "CCC_OVERRIDE_OPTIONS"])
def test_compiles_with_other_programs_behind_the_compiler_stay_here(
    send: distcc.Sender, tmp_path: Path, name: str
) -> None:
    compiler, environment = str(tmp_path / "bin/cc"), {"PATH": "/usr/bin:/bin"}
    for more, said in (({}, "sent"), ({name: "/x"}, "here")):
        done = subprocess.run(
            [send.send, compiler, "-c", "a.c"], capture_output=True, text=True, check=True,
            env={**environment, **more},
        )  # fmt: skip
        assert done.stdout.startswith(said)


def test_users_of_all_phases_reach_it_whatever_the_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distcc, "PLACE", tmp_path / "place")
    before = os.umask(0o077)
    try:
        distcc.Sender("/usr/bin/distcc", 1).open({"PATH": "/usr/bin:/bin"})
    finally:
        os.umask(before)
    for path in (tmp_path / "place", *(tmp_path / "place").rglob("*")):
        assert path.stat().st_mode & 0o055 == 0o055, path


def test_no_more_compile_here_than_there_are_cores(send: distcc.Sender, tmp_path: Path) -> None:
    """However many start; and one that a compiler starts itself waits for none."""
    program = shim(
        tmp_path / "bin/gcc",
        f"echo begin >> {tmp_path}/log; sleep 0.2; {send.send} {tmp_path}/bin/cc -g -c b.c\n"
        f"echo end >> {tmp_path}/log",
    )
    cores = len(os.sched_getaffinity(0))
    words = [send.send, str(program), "-g", "-c", "a.c"]
    environment = {"PATH": "/usr/bin:/bin"}
    many = [
        subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3 * cores)
    ]
    for each in many:
        assert each.communicate(timeout=60) == ("here cc\n", None)
    running, most = 0, 0
    for line in (tmp_path / "log").read_text().split():
        running += 1 if line == "begin" else -1
        most = max(most, running)
    assert running == 0
    assert 0 < most <= cores


def test_what_fails_elsewhere_is_compiled_here_and_no_host_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """distcc itself, and a host at which each compile fails."""
    if (program := shutil.which("distcc")) is None:
        cannot("distcc is not installed")
    asked = list[list[bytes]]()

    def answer(stream: BinaryIO) -> None:
        assert compile_one.number(stream, b"DIST") == 1
        count = compile_one.number(stream, b"ARGC")
        asked.append([compile_one.content(stream, b"ARGV", 999) for _ in range(count)])
        compile_one.content(stream, b"DOTI", 1 << 20)
        stream.write(b"DONE00000001STAT00000200SERR00000006there\nSOUT00000000DOTO00000000")
        stream.flush()

    def serve() -> None:
        while True:
            client, _ = listener.accept()
            with client, client.makefile("rwb") as stream:
                answer(stream)

    monkeypatch.setattr(distcc, "PLACE", tmp_path / "place")
    monkeypatch.setattr(distcc, "SOCKET", str(tmp_path / "socket"))
    listener = unix_listener(tmp_path / "socket")
    threading.Thread(target=serve, daemon=True).start()
    made = distcc.Sender(program, 3)
    made.open({"PATH": "/usr/bin:/bin"})
    backed_off = tmp_path / "place/own"
    for number, (text, status) in enumerate([("int x", 1), ("int x;\n", 0), ("int y", 1)], 1):
        (tmp_path / "a.c").write_text(text)
        done = subprocess.run(
            [made.send, "/usr/bin/gcc", "-O2", "-c", "a.c"], cwd=tmp_path, text=True, check=False,
            capture_output=True, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        )  # fmt: skip
        assert done.returncode == status
        assert len(asked) == number
        assert ("error: " in done.stderr) == bool(status)
        assert done.stderr == "" or status
        assert not {"there", "distcc["} & set(done.stderr.split())
        assert list(backed_off.rglob("backoff*")) == []


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
