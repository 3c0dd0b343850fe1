"""Portage's helpers in copies of a process: they see what a Python of their own would see."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloche.guest import helpers

WRAPPER = Path(helpers.__file__).with_name("bin") / "portage-python"

# A helper by its name alone; it says whether it runs in a Python of its own.
HELPER = """\
import os, sys
mask = os.umask(0)
where = os.getcwd(), os.environ["GIVEN"], mask, sys.argv[1:], sys.stdin.read()
said = sys.stdout if "out" in sys.argv else sys.stderr
print(*where, __name__, __file__, file=said, flush=True)
print("own" if os.getppid() == int(os.environ["SHELL_PID"]) else "copy", file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""
RUN = 'umask 027; SHELL_PID=$$ GIVEN="a b"; export SHELL_PID GIVEN; "$@"; exit $?'


SERVER = """\
import sys
import time
from pathlib import Path
from cloche.guest import helpers
helpers.PLACE = Path(sys.argv[1])
for name in ("ASK", "REPLY", "LOCK"):
    setattr(helpers, name, helpers.PLACE / name.lower())
serve, late = helpers._serve, float(sys.argv[2])
helpers._serve = lambda *fifos: (time.sleep(late), serve(*fifos))
with helpers.serving() as server:
    print(server, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    wrapper = tmp_path / "python"
    text = WRAPPER.read_text().replace(str(helpers.PLACE), str(tmp_path / "helpers"))
    wrapper.write_text(text)
    wrapper.chmod(0o755)
    (tmp_path / "doins.py").write_text(HELPER)
    return tmp_path


@pytest.fixture(params=[0.0])
def server(place: Path, request: pytest.FixtureRequest) -> Iterator[int]:
    """A server that begins as many seconds late as the test says."""
    command = (sys.executable, "-c", SERVER, str(place / "helpers"), str(request.param))
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.communicate()
    assert process.returncode == 0
    assert not (place / "helpers").exists()


def ran(place: Path, python: str, *words: str, **more: object) -> tuple[int, str, str]:
    """Run the helper below a shell: status, output, and what it said on standard error."""
    command = ("sh", "-c", RUN, "sh", python, f"{place}/doins.py", *words)
    done = subprocess.run(
        command, cwd="/usr", text=True, capture_output=True, check=False, input="given\n",
        timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("status", ["0", "3"])
def test_a_copy_sees_what_a_process_of_its_own_would_see(place: Path, status: str) -> None:
    for _ in range(2):  # the second finds its code known
        copied = ran(place, f"{place}/python", status, "out", "a word", "")
        own = ran(place, "/usr/bin/python3", status, "out", "a word", "")
        assert copied[:2] == own[:2]
        assert copied[2].strip() == "copy"


@pytest.mark.parametrize("server", [0.5], indirect=True)
@pytest.mark.usefixtures("server")
def test_a_question_that_comes_before_the_server_runs_is_answered(place: Path) -> None:
    assert ran(place, f"{place}/python", "0")[2].endswith("copy\n")


@pytest.mark.usefixtures("server")
def test_output_goes_behind_what_a_file_has(place: Path) -> None:
    log = place / "log"
    script = f'echo before > {log}; "$@" 0 out >> {log} 2>&1 < /dev/null; echo after >> {log}'
    command = ("sh", "-c", f"{RUN[: RUN.index(chr(34) + '$@')]}{script}", "sh")
    subprocess.run((*command, f"{place}/python", f"{place}/doins.py"), cwd="/usr", check=True)
    lines = log.read_text().splitlines()
    assert (lines[0], lines[2], lines[3]) == ("before", "copy", "after")


@pytest.mark.usefixtures("server")
def test_what_nobody_asked_for_hinders_nobody(place: Path) -> None:
    for asked in (b"../../etc\n", b"\n", b"0\n"):
        with (place / "helpers/ask").open("r+b", buffering=0) as ask:
            ask.write(asked)
            time.sleep(0.05)
        assert ran(place, f"{place}/python", "0")[2].strip().endswith("copy")


@pytest.mark.parametrize("taken", [True, False], ids=["it took its answer", "it did not"])
def test_a_client_that_has_ended_is_not_waited_for(taken: bool) -> None:
    """The server looks whether the answer is still there, and then whether the client is."""
    reader, writer = os.pipe2(os.O_NONBLOCK)
    os.write(writer, b"0\n")

    class Ending:
        """A client's directory in /proc; the client ends when it is looked at."""

        def __truediv__(self, name: str) -> Path:
            if taken:
                os.read(reader, 9)
            return Path("/nonexistent") / name

    helpers._until_read(reader, Ending())
    with pytest.raises(BlockingIOError):
        os.read(reader, 9)
    os.close(reader)
    os.close(writer)


def test_without_a_server_a_python_starts(place: Path, server: int) -> None:
    os.kill(server, signal.SIGKILL)
    for _ in range(2):
        status, _, said = ran(place, f"{place}/python", "3")
        assert (status, said.split()[-1]) == (3, "own")
