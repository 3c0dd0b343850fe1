"""bin/filter-environment does what Portage's own filter of a saved environment does."""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import portage.const
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloche.guest.shortcuts import KNOWN

BIN = Path(__file__).parents[2] / "src/cloche/guest/bin"
PORTAGES = Path(portage.const.PORTAGE_BIN_PATH)
PATTERN = "D EBUILD PATH SANDBOX_.* ___.* BASH_FUNC_.* IFS A P"

LINES = st.sampled_from(
    [
        'declare -x PATH="/usr/bin"', 'declare -rx FOO="bar"', 'declare -ar FOO=([0]="a" [1]="b")',
        "declare -r", "declare -x IFS", "declare -- BAR", "declare -irx SANDBOX_ON", "declare BAZ",
        'declare -x D="/image', 'declare -x KEPT="first', 'the end"', "more \\\"", '"', "'", "\\'",
        "declare -x QUOTED=$'a\\nb'", "FOO=bar", "export FOO='bar", "export A=", "1X=2", "a b=c",
        'FOO="', 'FOO=""', "FOO='x' ", "BASH_FUNC_x%%=() {  :", "f () ", "f ()", "{ ", "}", "    }",
        "    cat <<EOF", "    cat <<-EOF", "EOF", "text <<'EOF'", "x\x01y", 'P="\x01"', "K=\x01",
        "", "=", "  =x", "declare -x ___x=1", "caf\xe9=1", "caf\xe9 ()", "\xa0=2", "D=\x0b\"",
    ]
)  # fmt: skip
ANY = st.text(st.sampled_from("aD_=\"'\\ \t\x01\x0b(){}<-\xe9\xa0r1.$"), max_size=12)


def portages(pattern: str, text: bytes) -> bytes:
    """What Portage's filter makes of a text."""
    script = PORTAGES / "filter-bash-environment.py"
    words = [sys.executable, str(script), pattern]
    return subprocess.run(words, input=text, stdout=subprocess.PIPE, check=True).stdout


def ours(pattern: str, text: bytes) -> bytes:
    """What ours makes of it."""
    words = ["perl", str(BIN / "filter-environment"), pattern]
    return subprocess.run(words, input=text, stdout=subprocess.PIPE, check=True).stdout


def test_portages_filter_is_the_one_that_was_read() -> None:
    for name, digests in KNOWN.items():
        assert sha256((PORTAGES / name).read_bytes()).hexdigest() in digests, name


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(LINES, ANY), max_size=40), st.booleans())
def test_both_leave_out_the_same(lines: list[str], ended: bool) -> None:
    text = ("\n".join(lines) + "\n" * ended).encode("latin-1")
    assert ours(PATTERN, text) == portages(PATTERN, text)


def test_a_saved_environment_of_bash() -> None:
    script = (
        "X=$'a\\nb\"c'; declare -r Y=1; g() { cat <<-EOF\n\tD=1\n\tEOF\n}; declare -p; declare -fp"
    )
    text = subprocess.run(["bash", "-c", script], stdout=subprocess.PIPE, check=True).stdout
    assert b"Y=" in ours(PATTERN, text)
    assert ours(PATTERN, text) == portages(PATTERN, text)


@pytest.mark.parametrize("status", [0, 1])
def test_the_wrapper_passes_on_what_it_does_not_know(status: int, tmp_path: Path) -> None:
    script = tmp_path / "any.py"
    script.write_text("import sys; print(sys.argv[1:]); sys.exit(int(sys.argv[1]))")
    words = [str(BIN / "portage-python"), str(script), str(status), "a b"]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stdout) == (status, f"['{status}', 'a b']\n")
