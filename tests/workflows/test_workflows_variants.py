"""`cloche try`: a variant is built and compared, and the machine's files stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import Store
from tests.workflows.freshroots import place_for

from cloche.errors import ClocheError
from cloche.workflows.variants import variant

MACHINE = 'seed = "debian"\nprofile = "tiny:default"\nportage = ["base"]\npackages = ["tiny/one"]\n'


@pytest.mark.parametrize(
    ("atom", "flags", "what"),
    [
        ("jq", (), "“jq” is not an atom"),
        ("app-misc/jq-1.8", (), "“app-misc/jq-1.8” is not an atom"),
        ("app-misc/jq", ("+",), "“+” is not a flag"),
        ("app-misc/jq", ("-a b",), "“-a b” is not a flag"),
        ("app-misc/jq", ("+nls", "-nls"), "the flag nls is named twice"),
    ],
)
def test_wrong_words(atom: str, flags: tuple[str, ...], what: str) -> None:
    with pytest.raises(ClocheError) as error:
        variant(atom, flags)
    assert (error.value.what, int(error.value.status)) == (what, 2)


def test_a_variant_is_a_line_of_package_use() -> None:
    assert variant("a/b", ("+doc", "-nls")).line == "a/b doc -nls"
    assert variant("a/b", ()).changes == ()


def text_of(place: Path) -> dict[str, str]:
    kinds = ("*.toml", "portage/**/*")
    found = (path for kind in kinds for path in place.rglob(kind) if path.is_file())
    return {str(path.relative_to(place)): path.read_text() for path in found}


@pytest.mark.real
def test_a_variant_is_tried(root_seeded: Store, fresh: Callable[[Store], Store]) -> None:
    store = fresh(root_seeded)
    place = place_for(store)
    for name in ("other", "tiny"):
        (place / f"machines/{name}.toml").write_text(MACHINE)

    def try_(*words: str) -> tuple[int, str, list[str]]:
        done = store.cloche("try", "tiny", *words, cwd=place, stdin="")
        return done.returncode, done.stdout, done.stderr.splitlines()

    status, _, said = try_("tiny/top")
    assert status == 2
    assert "not built yet" in said[-1]
    store.cloche("build", "tiny", cwd=place, check=True)
    files = text_of(place)
    script = "cat /usr/share/top; echo x > /usr/share/one; exit 7"
    status, out, said = try_("tiny/top", "+loud", "--save", "base", "--", "sh", "-c", script)
    assert (status, out) == (7, "this is top\n")
    assert "4 packages built, 1 reused" in "\n".join(said)  # with the tool
    changes = said[said.index("compared with tiny, build 1:") :]
    assert [line.split()[:2] for line in changes if line[0] in "+-~"] == [
        ["+", "tiny/leaf"],
        ["+", "tiny/top"],
        ["+", "tiny/two"],
    ]
    assert any(line.startswith("+ tiny/top 1  USE +loud  +") for line in changes)
    assert any(line.strip().endswith("usr/share/top") for line in changes)
    assert changes[-1].startswith("size: +")
    assert text_of(place) == files  # the command failed

    status, out, said = try_("tiny/top", "+loud", "--save", "base")
    assert (status, out) == (0, "")
    assert "0 packages built, 5 reused" in "\n".join(said)
    assert "base is also a fragment of other" in said
    assert "machines/tiny.toml does not ask for tiny/top: add it there" in said
    changed = {name: text for name, text in text_of(place).items() if files.get(name) != text}
    assert list(changed.values()) == ["tiny/top loud\n"]

    for words, line in (
        (("tiny/top", "-hardened"), "tiny/top-1: it has no flag hardened; its flags are: loud"),
        (("tiny/tob",), "machine tiny: no package matches tiny/tob; did you mean tiny/two or "),
        ((">=tiny/top-2",), "no package matches >=tiny/top-2; of tiny/top there is 1"),
        (("tiny/top", "--save", "bas"), "did you mean “base”?"),
    ):
        status, out, said = try_(*words)
        assert (status, out) == (2, ""), said
        assert line in said[-1]
        assert [each for each in said if not each.startswith("resolve: ")] == said[-1:]

    (place / "portage/base/package.mask").write_text("tiny/two\n")
    for atom, lines in (("tiny/two", 1), ("tiny/top", 7)):
        status, _, said = try_(atom)
        assert (status, len(said)) == (2, lines), said
        assert said[-1].endswith(
            "masked: tiny/two; add `=tiny/two-1` to a fragment's package.unmask"
        )
