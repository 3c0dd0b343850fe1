"""`cloche-distcc` beside distcc as it is: who is blamed, and that nothing else differs.

distccd is real, in network namespaces. In most tests compilers are sh scripts that fail, or take
their time, on one side only.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.distcc.farm import SOURCES, Desk, Farm, desk, free_port, shim

pytestmark = pytest.mark.real

GCC = "exec /usr/bin/gcc"
#: Fails with another status than the host's.
OTHER_STATUS = f'case " $* " in *" -E "*) {GCC} "$@";; esac\n/usr/bin/gcc "$@" || exit 2'
#: Takes a while for one file, if it is compiled, not preprocessed.
SLOW = f'case " $* " in *" -E "*) ;; *bad.c*) sleep 1.5;; esac\n{GCC} "$@"'

Made = Callable[..., Desk]


@pytest.fixture
def at(hosts: Farm, tmp_path: Path, wrapper: Path) -> Made:
    """A desk that sends to `one`, whose compiler is ``remote``; here it is ``local``."""

    def made(local: str = "", remote: str = "", **more: str) -> Desk:
        path = "/usr/bin:/bin"
        if local:
            path = f"{shim(tmp_path / 'bin/gcc', local).parent}:{path}"
        where = shim(hosts.room / "served/gcc", remote).parent if remote else Path("/usr/bin")
        hosts.serve("one", str(where))
        return desk(hosts, tmp_path / "desk", wrapper, "one", PATH=path, **more)

    return made


def name_of(hosts: Farm) -> str:
    return f"backoff_tcp_{hosts.net.address('one')}_3632_0"


@pytest.mark.parametrize("file", ["bad.c", "missing.c"])
def test_a_host_is_not_blamed_for_what_fails_here_too(at: Made, hosts: Farm, file: str) -> None:
    here = at(OTHER_STATUS)
    for _ in range(5):
        done = here.run(str(here.wrapper), "gcc", "-c", file)
        assert done.returncode == 2
        assert here.disliked == set()
    assert here.run("distcc", "gcc", "-c", file).returncode == 2
    assert here.disliked == {name_of(hosts)}  # by distcc alone


def test_a_host_that_cannot_compile_what_this_one_can_is_left_alone(at: Made, hosts: Farm) -> None:
    here = at(remote="echo broken >&2; exit 1", DISTCC_BACKOFF_PERIOD="60")
    done = here.run(str(here.wrapper), "gcc", "-c", "warned.c", "-Wall")
    assert done.returncode == 0
    assert (here.place / "warned.o").is_file()
    assert b"broken" not in done.stderr
    assert b"is used uninitialized" in done.stderr
    assert b"retried locally and got a different result" in done.stderr
    assert here.disliked == {name_of(hosts)}
    (file,) = (here.place / "distcc/lock").glob("backoff_*")
    made = file.read_bytes(), file.stat().st_mode
    file.unlink()
    assert here.run("distcc", "gcc", "-c", "warned.c").returncode == 0
    assert (file.read_bytes(), file.stat().st_mode) == made

    here.run(str(here.wrapper), "gcc", "-c", "good.c", DISTCC_LOG="log")
    assert "on localhost completed ok" in here.log
    file.unlink()
    here.run(str(here.wrapper), "gcc", "-c", "good.c", DISTCC_BACKOFF_PERIOD="0")
    assert here.disliked == set()  # as the user wants


def test_others_use_the_host_while_a_failed_compile_is_repeated_here(at: Made, hosts: Farm) -> None:
    here = at(SLOW)
    for program, where in (("distcc", "localhost"), (str(here.wrapper), "10.99.7.2/8")):
        failing = here.start(program, "gcc", "-c", "bad.c", DISTCC_LOG="failing")
        end = time.monotonic() + 20
        while "failed" not in (text := _read(here.place / "failing")):
            assert time.monotonic() < end, text
            time.sleep(0.02)
        time.sleep(0.1)
        here.run(program, "gcc", "-c", "good.c", DISTCC_LOG="log")
        assert f"on {where} completed ok" in here.log
        assert failing.poll() is None
        failing.communicate()
        assert failing.returncode == 1
        for name in ("log", "failing"):
            (here.place / name).unlink()
    assert here.disliked == set()


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_a_compiler_that_is_killed_there_and_fails_here_is_no_fault(at: Made, hosts: Farm) -> None:
    here = at(remote="kill -9 $$")
    assert here.run(str(here.wrapper), "gcc", "-c", "bad.c").returncode == 1
    assert here.disliked == set()
    assert here.run(str(here.wrapper), "gcc", "-c", "good.c").returncode == 0
    assert here.disliked == {name_of(hosts)}


CALLS = {
    "a compile": ("gcc", "-c", "good.c"),
    "a warning": ("gcc", "-Wall", "-c", "warned.c", "-o", "w.o"),
    "an error": ("gcc", "-c", "bad.c"),
    "no such header": ("gcc", "-c", "missing.c", "-MD", "-MF", "m.d"),
    "assembly": ("gcc", "-S", "good.c"),
    "preprocessing": ("gcc", "-E", "good.c"),
    "a link": ("gcc", "-shared", "good.c", "-o", "good.so"),
    "a link that fails": ("gcc", "good.c"),
    "standard input": ("gcc", "-c", "-x", "c", "-", "-o", "in.o"),
    "wrong input": ("gcc", "-c", "-x", "c", "bad.c", "-", "-o", "in.o"),
    "for this processor": ("gcc", "-march=native", "-c", "bad.c"),
    "a file of arguments": ("gcc", "@words"),
    "no compiler": ("never-cc", "-c", "good.c"),
    "no source": ("gcc", "-c", "never.c"),
    "an implied compiler": ("-c", "good.c"),
    "no words": (),
    "help": ("--help",),
    "hosts": ("--show-hosts",),
}


@pytest.mark.parametrize("words", CALLS.values(), ids=CALLS.keys())
def test_statuses_messages_and_files_are_those_of_distcc(at: Made, words: tuple[str, ...]) -> None:
    here = at()
    (here.place / "words").write_text("-c bad.c")
    plain, ours = (_seen(here, program, words) for program in ("distcc", str(here.wrapper)))
    assert ours == plain


def _seen(here: Desk, program: str, words: tuple[str, ...]) -> tuple[object, ...]:
    done = here.run(program, *words, given=b"int two;\n")
    known = {*SOURCES, "words", "distcc"}
    files = {p.name: p.read_bytes() for p in here.place.iterdir() if p.name not in known}
    for name in files:
        (here.place / name).unlink()
    # What a failed preprocessor said is said twice by distcc: by it, and by the compiler.
    lines = dict.fromkeys(re.sub(r"(?m)^distcc\[\d+\] .*\n", "", done.stderr.decode()).split("\n"))
    log = re.findall(r"(?m)^distcc\[\d+\] (ERROR.*|Warning.*)", done.stderr.decode())
    told = [line for line in log if "running locally instead" not in line]
    return done.returncode, done.stdout, list(lines), told, files


def test_its_log_goes_where_the_user_wants_it(at: Made) -> None:
    here = at()
    done = here.run(str(here.wrapper), "gcc", "-c", "bad.c", DISTCC_LOG="log")
    assert b"distcc[" not in done.stderr
    assert done.stderr.count(b"error:") == 1
    assert re.search(
        r"compile bad.c on 10.99.7.2/8 failed\n(.*\n)*.*retrying locally\n(.*\n)*"
        r".*compile bad.c on localhost failed\n",
        here.log,
    )
    line = 'exec 7>told; "$0" gcc -c bad.c'  # as ccache does
    done = here.run("sh", "-c", line, str(here.wrapper), UNCACHED_ERR_FD="7")
    assert b"distcc[" not in done.stderr
    assert "retrying locally" in (here.place / "told").read_text()


def test_who_wants_no_compile_here_gets_none(at: Made) -> None:
    here = at("exit 3", DISTCC_FALLBACK="0")
    (here.place / "plain.i").write_text(SOURCES["bad.c"])
    done = here.run(str(here.wrapper), "gcc", "-c", "plain.i")
    assert done.returncode == 1
    assert b"undeclared" in done.stderr
    assert here.disliked == set()


def test_links_are_compilers(at: Made, tmp_path: Path) -> None:
    here = at()
    for name in ("gcc", "cc", "distcc"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).symlink_to(here.wrapper)
    path = f"{tmp_path}/bin:/usr/bin:/bin"
    for words in (["gcc"], ["cc"], ["distcc", "gcc"], [f"{tmp_path}/bin/gcc"]):
        done = here.run(*words, "-c", "good.c", PATH=path, DISTCC_LOG="log")
        assert done.returncode == 0, done.stderr
        assert "on 10.99.7.2/8 completed ok" in here.log
        (here.place / "log").unlink()
        assert here.run(*words, "-c", "bad.c", PATH=path).returncode == 1
        assert here.disliked == set()
    found = here.run("gcc", "-c", "good.c", PATH=f"{tmp_path}/bin")
    assert (found.returncode, found.stderr) == (127, b"cloche-distcc: distcc is not on PATH\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_ends_all_of_it(at: Made, number: signal.Signals) -> None:
    here = at(remote=f'sleep 100\n{GCC} "$@"')
    process = here.start(str(here.wrapper), "gcc", "-c", "good.c")
    end = time.monotonic() + 60
    while not (below := _children(process.pid)):
        assert time.monotonic() < end
        time.sleep(0.02)
    time.sleep(0.3)
    os.kill(process.pid, number)
    process.communicate(timeout=60)
    assert process.returncode == -number
    while any(Path(f"/proc/{each}").exists() for each in below):
        assert time.monotonic() < end
        time.sleep(0.02)


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


SPECS = ("127.0.0.1:{port}", "127.0.0.1/3:{port}", "127.0.0.1:{port}/3,lzo", "[::1]:{port}",
         "localhost.:{port},lzo,cpp", "@never.invalid", "larry@never.invalid/2:/bin/distccd",
         "127.0.0.9")  # fmt: skip


@pytest.mark.parametrize("spec", SPECS)
def test_a_back_off_file_is_named_as_distcc_names_it(
    wrapper: Path, tmp_path: Path, spec: str
) -> None:
    """distcc writes it for hosts that do not answer; a script plays a distcc whose host fails."""
    spec = spec.format(port=free_port())
    at = desk(None, tmp_path / "desk", wrapper, DISTCC_SSH="/bin/false")
    at.run("distcc", "gcc", "-c", "good.c", DISTCC_HOSTS=spec)
    expected = at.disliked
    assert len(expected) == 1
    for name in expected:
        (at.place / "distcc/lock" / name).unlink()
    played = shim(
        tmp_path / "bin/played",
        '[ "$DISTCC_HOSTS" = localhost/4 ] && exit 0\n'
        'echo "distcc[$$] ERROR: compile a on b.c on $DISTCC_HOSTS failed with exit code 3" >&2\n'
        "exit 3",
    )
    more = {"DISTCC_HOSTS": spec, "CLOCHE_DISTCC": str(played)}
    assert at.run(str(wrapper), "gcc", "-c", "good.c", **more).returncode == 0
    assert at.disliked == expected
