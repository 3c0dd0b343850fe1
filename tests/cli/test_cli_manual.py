"""The manual: a page for each command, with the text of its help."""

from __future__ import annotations

import re
import shutil
import subprocess

import click
import pytest
from tests.support import cannot

from cloche.cli.main import cli
from cloche.cli.manual import Release, contexts, escaped, page, page_name

RELEASE = Release("1.2.3", "2026-11-28")
CONTEXTS = {context.command_path: context for context in contexts(cli, "cloche")}


def mandoc(*words: str, text: str) -> str:
    """The output of mandoc(1), a reader of manual pages with a linter, for a page."""
    if shutil.which("mandoc") is None:
        cannot("mandoc is not installed")
    done = subprocess.run(["mandoc", *words], input=text, capture_output=True, text=True)
    return done.stdout


def shown(text: str) -> str:
    """The page as a reader sees it, in wide lines."""
    return re.sub(r".\x08", "", mandoc("-T", "utf8", "-O", "width=900", text=text))


@pytest.mark.parametrize("path", CONTEXTS)
def test_a_page_has_the_text_of_the_help(path: str) -> None:
    context = CONTEXTS[path]
    text = shown(page(context, RELEASE))
    assert "cloche 1.2.3" in text
    words = " ".join(text.split())
    for paragraph in (context.command.help or "").split("\n\n"):
        assert " ".join(paragraph.replace("`", "").split()) in words
    for option in context.command.get_params(context):
        if isinstance(option, click.Option):
            names, said = option.get_help_record(context) or ("", "")
            assert f"{names} {' '.join(said.replace('`', '').split())}" in words
    lines = [line.strip() for line in text.splitlines()]
    examples = re.findall(r"^  +(\S.*)$", context.command.epilog or "", re.MULTILINE)
    assert examples
    assert [line for line in examples if line not in lines] == []
    status = re.search(r"Exit status: (.*?)(\n\s*\n|$)", context.command.epilog or "", re.DOTALL)
    if status:
        assert f"EXIT STATUS {' '.join(status[1].replace('`', '').split())}" in words


@pytest.mark.parametrize("path", CONTEXTS)
def test_a_linter_finds_no_fault(path: str) -> None:
    assert mandoc("-T", "lint", text=page(CONTEXTS[path], RELEASE)) == ""


def test_the_linter_finds_a_wrong_request() -> None:
    assert "unknown" in mandoc("-T", "lint", text=page(CONTEXTS["cloche"], RELEASE) + ".NO\n")


def test_references_lead_to_existing_pages() -> None:
    pages = {page_name(context): page(context, RELEASE) for context in CONTEXTS.values()}
    for name, text in pages.items():
        for found in re.findall(r"(?:^\.BR |^\\fB)(cloche\S*?)(?:\\fR| )\(1\)", text, re.MULTILINE):
            assert found.replace("\\-", "-") in pages, (name, found)
    assert "\\fBcloche\\-store\\-gc\\fR(1)" in pages["cloche-store"]
    assert ".BR cloche\\-store (1)," in pages["cloche-store-gc"]


@click.command(epilog="\b\nExample:\n  .x 'a' \\n ^~`b` -- --c")
@click.option("--odd", help=".starts \\with “odd” letters.")
def odd() -> None:
    """Show text that looks like requests.

    \b
    .SH NOT
    'br

    .PP is text, too.
    """


def test_text_is_not_taken_for_requests_and_all_letters_are_shown() -> None:
    text = page(click.Context(odd, info_name="odd"), RELEASE)
    assert text.isascii()
    lines = [line.strip() for line in shown(text).splitlines()]
    assert {".x 'a' \\n ^~`b` -- --c", ".SH NOT", "'br", ".PP is text, too."} <= set(lines)
    assert any(line.endswith(".starts \\with “odd” letters.") for line in lines)


def test_letters_beyond_the_first_plane() -> None:
    assert escaped("a…😀") == "a\\[u2026]\\[u1F600]"
