"""`cloche outdated`: what a sync would change in a machine, and the advisories about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny
from test_machine_trees import git, published
from tests.support import Store

pytestmark = pytest.mark.real

GLSA = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE glsa SYSTEM "http://www.gentoo.org/dtd/glsa.dtd">
<glsa id="{id}">
  <title>{title}</title>
  <synopsis>It may do what nobody wants.</synopsis>
  <product type="ebuild">leaf</product>
  <announced>2026-11-01</announced>
  <revised count="1">2026-11-01</revised>
  <access>remote</access>
  <affected>
    <package name="{cp}" auto="yes" arch="{arch}">
      <unaffected range="ge">{good}</unaffected>
      <vulnerable range="lt">{good}</vulnerable>
    </package>
  </affected>
  <description><p>None.</p></description>
  <impact type="high"><p>None.</p></impact>
  <workaround><p>None.</p></workaround>
  <resolution><p>None.</p></resolution>
  <references></references>
</glsa>
"""


def told(store: Store, place: Path, *words: str) -> Any:
    """What the command says, as JSON."""
    done = store.cloche("-C", place, "outdated", "--json", *words, check=True)
    return json.loads(done.stdout)


def advise(upstream: Path, id: str, cp: str, good: str, title: str, arch: str = "*") -> None:
    """Publish an advisory for versions before a good one."""
    place = upstream / "metadata/glsa"
    place.mkdir(exist_ok=True)
    text = GLSA.format(id=id, cp=cp, good=good, title=title, arch=arch)
    (place / f"glsa-{id}.xml").write_text(text)


def test_what_a_sync_would_change_is_told_and_nothing_is_pinned(root_seeded: Store, fresh) -> None:
    before = tiny.built_once(root_seeded)
    store, place = fresh(before.store), published(root_seeded)
    upstream = place.parent / "upstream"
    store.cloche("repo", "sync", cwd=place, check=True)
    never_built = told(store, place)
    tiny.build(store, place)
    lock = (place / "cloche.lock").read_bytes()
    assert told(store, place) == {
        "repositories": {},
        "machines": [{"machine": "tiny", "changes": [], "advisories": []}],
    }
    machine = place / "machines/tiny.toml"
    text = machine.read_text()
    machine.write_text(text.replace(', "tiny/census"', ""))
    assert machine.read_text() != text
    assert never_built == told(store, place)  # the file changed, the repositories did not
    machine.write_text(text)

    leaf = upstream / "tiny/leaf"
    (leaf / "leaf-2.ebuild").write_text((leaf / "leaf-1.ebuild").read_text())
    (upstream / "tiny/greet/greet-1.ebuild").rename(upstream / "tiny/greet/greet-1-r1.ebuild")
    moved = upstream / "tiny/first"
    text = (moved / "first-1.ebuild").read_text()
    assert 'SLOT="0"' in text
    (moved / "first-2.ebuild").write_text(text.replace('SLOT="0"', 'SLOT="2"'))
    (moved / "first-1.ebuild").unlink()
    advise(upstream, "202611-00", "tiny/first", "2", "First: in another slot then")
    advise(upstream, "202611-01", "tiny/leaf", "2", "Leaf: all of it")
    advise(upstream, "202611-02", "tiny/census", "3", "Census: it counts")
    advise(upstream, "202611-03", "tiny/census", "1", "Census: it counted")
    advise(upstream, "202611-04", "tiny/leaf", "2", "Leaf: elsewhere", arch="arm64")
    (upstream / "metadata/glsa/glsa-202611-05.xml").write_text("<glsa name='tiny/leaf'>")
    git(store, upstream, "add", "--all")
    git(store, upstream, "commit", "--quiet", "-m", "two")
    found = told(store, place, "tiny")
    assert list(found["repositories"]) == ["tiny"]
    (machine,) = found["machines"]
    changes = {
        each["cp"]: (each["status"], each["before"], each["after"]) for each in machine["changes"]
    }
    assert changes["tiny/leaf"] == ("U", "1", "2")
    assert changes["tiny/greet"] == ("U", "1", "1-r1")
    assert [(each["id"], each["packages"], each["closed"]) for each in machine["advisories"]] == [
        ("202611-00", ["tiny/first-1"], True),
        ("202611-01", ["tiny/leaf-1"], True),
        ("202611-02", ["tiny/census-1"], False),
    ]
    assert (place / "cloche.lock").read_bytes() == lock
    assert tiny.build(store, place, "--offline").packages("reused") == tiny.PACKAGES

    text = store.cloche("-C", place, "outdated", "--offline", check=True).stdout
    assert "  U  tiny/leaf 1 → 2\n" in text
    assert "  GLSA 202611-01 (tiny/leaf-1): Leaf: all of it: closed\n" in text
    assert "  GLSA 202611-02 (tiny/census-1): Census: it counts: stays open\n" in text

    (upstream / "tiny/leaf/leaf-2.ebuild").write_text("EAPI=8\nDEPEND='none/none'\nSLOT=0\n")
    (upstream / "tiny/leaf/leaf-1.ebuild").unlink()
    git(store, upstream, "add", "--all")
    git(store, upstream, "commit", "--quiet", "-m", "three")
    failed = store.cloche("-C", place, "outdated")
    assert failed.returncode != 0
    assert failed.stdout.splitlines()[-1].startswith("tiny: ")
    assert "1 machine could not be planned: tiny" in failed.stderr
    assert "tinny" in store.cloche("-C", place, "outdated", "tinny").stderr
