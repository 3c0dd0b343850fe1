"""The report: what happened when, and a page that holds everything itself."""

import json
import shutil
import struct
from html.parser import HTMLParser
from pathlib import Path

import pytest
from chromium import chromium

from cloche.display.layered import placed
from cloche.display.report import About, LogText, page
from cloche.display.timeline import (
    Timeline,
    critical_chain,
    lanes,
    slowest_phases,
    timeline,
)
from cloche.records.elog import Message
from cloche.records.events import (
    Done,
    Elog,
    Event,
    Fetched,
    Finished,
    How,
    Phase,
    Planned,
    Stage,
    Started,
    Version,
)
from support import cannot

EVIL = "</script><script>window.evil=1</script><img src=x onerror='window.evil=1'>"


def built(name: str, start: float, end: float, how: How = "built") -> list[Event]:
    middle = (start + end) / 2
    return [
        Started(package=name, step="build", time=start, log=f"/{name}.log"),
        Phase(package=name, phase="compile", state="start", time=start),
        Phase(package=name, phase="compile", state="end", time=middle),
        Started(package=name, step="merge", time=middle),
        Done(package=name, how=how, seconds=end - start, time=end),
    ]


def stream() -> list[Event]:
    """Two workers: a, then c (needs a and d, which is reused and needs b); b beside a; e fails."""
    events: list[Event] = [
        Stage(name="resolve", state="start", time=100.0),
        Stage(name="resolve", state="end", seconds=1.0, time=101.0),
        Planned(
            machine="m",
            packages=("x/a-1::r", "x/b-1::r", "x/d-1::r", "x/c-1::r", "x/e-1::r", "x/f-1::r"),
            edges={
                "x/d-1::r": ("x/b-1::r",),
                "x/c-1::r": ("x/a-1::r", "x/d-1::r"),
                "x/f-1::r": ("x/e-1::r",),
            },
            time=101.0,
        ),
        Started(package="x/c-1::r", step="fetch", time=101.0),
        Fetched(package="x/c-1::r", file="c.tar", size=5, time=102.0),
        Phase(package="x/c-1::r", phase="fetch", state="end", time=102.0),
        *built("x/a-1::r", 101.0, 103.0),
        *built("x/b-1::r", 101.0, 105.0),
        Done(package="x/d-1::r", how="reused", time=105.0),
        *built("x/c-1::r", 105.0, 109.0),
        Elog(
            package="x/e-1::r",
            step="build",
            messages=(Message("setup", "warn", ("take <b>care</b>", "two lines")),),
            time=103.5,
        ),
        *built("x/e-1::r", 103.0, 104.0, "failed"),
        Done(package="x/f-1::r", how="skipped", time=109.0),
        Finished(built=3, reused=1, failed=1, skipped=1, seconds=9.0, time=110.0),
    ]
    return [Version(time=100.0), *sorted(events, key=lambda event: event.time)]


def line() -> Timeline:
    return timeline(stream())


def test_steps_and_phases_have_their_times() -> None:
    works = {work.package: work for work in line().works}
    c = works["x/c-1::r"]
    assert [(s.name, s.start, s.end) for s in c.steps] == [
        ("fetch", 1.0, 2.0), ("build", 5.0, 7.0), ("merge", 7.0, 9.0),
    ]  # fmt: skip
    assert (c.start, c.end, c.how) == (5.0, 9.0, "built")
    assert [(p.name, p.start, p.end) for p in c.phases] == [("compile", 5.0, 7.0)]
    assert not works["x/d-1::r"].worked
    assert [(s.name, s.end) for s in line().stages] == [("resolve", 1.0)]


def test_packages_share_workers() -> None:
    assert lanes(line().works) == {
        "x/a-1::r": 0, "x/b-1::r": 1, "x/e-1::r": 0, "x/c-1::r": 0,
    }  # fmt: skip


def test_the_critical_chain_goes_through_what_was_reused() -> None:
    assert critical_chain(line()) == ("x/b-1::r", "x/c-1::r")
    assert critical_chain(timeline([])) == ()


def test_phases_are_told_by_their_length() -> None:
    assert [name for name, _ in slowest_phases(line().works, 2)] == ["x/b-1::r", "x/c-1::r"]


def test_a_record_that_breaks_off_shows_what_ran() -> None:
    works = {w.package: w for w in timeline(stream()[:9]).works}
    assert works["x/a-1::r"].how is None


def test_nodes_come_after_what_they_need_and_no_two_share_a_place() -> None:
    names = [f"p{n}" for n in range(200)]
    needs = {name: tuple(names[n // 2 : n : 7]) for n, name in enumerate(names)}
    places = placed(needs)
    assert len(set(places.values())) == len(names)
    assert all(places[a][0] > places[b][0] for a, others in needs.items() for b in others)


class Reader(HTMLParser):
    """Collects elements and the texts of scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str | None]] = []
        self.scripts: list[str] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.inside = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, text: str) -> None:
        if self.inside:
            self.scripts.append(text)


def report(about: dict[str, About] | None = None) -> str:
    return page(line(), about or {})


def test_the_page_refers_to_nothing_outside_of_it() -> None:
    text = report()
    reader = Reader()
    reader.feed(text)
    reader.close()
    bad = {"src", "srcset", "data", "action", "poster"}
    assert [a for a in reader.attributes if a[1] in bad or a[0] == "link"] == []
    assert all(value.startswith("#") for _, n, value in reader.attributes if n == "href" and value)
    assert "@import" not in text
    assert "url(" not in text
    policy = next(v for t, n, v in reader.attributes if t == "meta" and v and "default-src" in v)
    assert "default-src 'none'" in policy
    assert "@@" not in text


def test_nothing_that_came_from_outside_can_become_markup() -> None:
    events = [
        Planned(machine=EVIL, packages=(EVIL,), time=1.0),
        *built(EVIL, 1.0, 2.0, "failed")[:-1],
        Elog(package=EVIL, step="build", messages=(Message(EVIL, "warn", (EVIL,)),), time=2.5),
        Done(package=EVIL, how="failed", reason=EVIL, lines=(EVIL,), enter=EVIL, time=3.0),
    ]
    text = page(timeline(events), {EVIL: About(use=(EVIL,), logs=(LogText(EVIL, EVIL),))})
    assert "<script>window" not in text
    assert "<img" not in text
    reader = Reader()
    reader.feed(text)
    data, logs, _ = reader.scripts
    assert json.loads(data)["packages"][0]["reason"] == EVIL
    assert len(json.loads(logs)[0]) == 1


def pixels(path: Path) -> tuple[int, int]:
    """Width and height of a PNG (its IHDR chunk)."""
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", data[16:24])
    return width, height


@pytest.fixture
def written(tmp_path: Path) -> Path:
    if shutil.which("chromium") is None:
        cannot("chromium is not installed")
    text = "=== cloche: phase unpack\nu1\n=== cloche: phase compile\nhello & <b>bye</b>\n" + EVIL
    about = {
        work.package: About(
            use=("nls", EVIL), size=5000, logs=(LogText("build", text, 7), LogText("merge", "m"))
        )
        for work in line().works
    }
    path = tmp_path / "report.html"
    path.write_text(page(line(), about))
    return path


@pytest.mark.real
def test_a_browser_shows_it_and_clicks_work(written: Path, tmp_path: Path) -> None:
    with chromium() as browser:
        browser.open(written)
        assert browser.ask("document.title") == "m: build report"
        assert browser.ask("document.querySelectorAll('#timeline .bar:not(.stage)').length") == 4
        assert browser.ask("document.querySelectorAll('#packages tbody tr').length") == 6
        assert browser.ask("document.querySelectorAll('#critical li').length") == 2
        said = "document.querySelector('#messages pre.warn').textContent"
        assert browser.ask(said) == "take <b>care</b>\ntwo lines"
        browser.click("#timeline .bar", 1)
        browser.wait_for("document.getElementById('detail').open")
        browser.click("#detail .open-log")
        browser.wait_for("document.querySelector('pre.log')?.textContent.includes('<b>bye</b>')")
        assert browser.ask("document.querySelector('#detail').innerText.includes('7 earlier')")
        browser.screenshot(tmp_path / "log.png")
        browser.click("#detail .close")
        assert not browser.ask("document.getElementById('detail').open")
        browser.write("#filter", "failed")
        assert browser.ask("document.querySelectorAll('#packages tbody tr').length") == 1
        assert browser.ask("window.evil") is None
        assert browser.requests() == [written.as_uri()]
        assert browser.problems() == []
    assert pixels(tmp_path / "log.png") == (1200, 800)


@pytest.mark.real
def test_the_graph_is_zoomed_searched_and_clicked(written: Path) -> None:
    with chromium() as browser:
        browser.open(written)
        width = "document.querySelector('#graph svg').viewBox.baseVal.width"
        whole = browser.ask(width)
        browser.click("#nearer")
        assert browser.ask(width) < whole
        browser.click("#fit")
        assert browser.ask(width) == whole
        browser.click("#graph .node", 3)
        assert browser.ask("document.querySelectorAll('#graph path.near').length") == 2
        assert browser.ask("document.querySelectorAll('#graph .node:not(.dim)').length") == 3
        browser.write("#search", "x/e")
        assert browser.ask("document.getElementById('found').textContent") == "1 found"
        assert browser.ask("document.querySelectorAll('#graph .node.hit').length") == 1
        assert browser.problems() == []


@pytest.mark.real
def test_it_fits_a_phone_light_and_dark(written: Path, tmp_path: Path) -> None:
    back = "getComputedStyle(document.body).backgroundColor"
    with chromium() as browser:
        browser.open(written, width=360, height=740)
        assert browser.ask("document.documentElement.scrollWidth") <= 360
        light = browser.ask(back)
        dark = [{"name": "prefers-color-scheme", "value": "dark"}]
        browser.do("Emulation.setEmulatedMedia", features=dark)
        assert browser.ask(back) != light
        browser.screenshot(tmp_path / "phone.png")
        browser.click("#timeline .bar", 0)
        browser.wait_for("document.getElementById('detail').open")
        assert browser.ask("document.getElementById('detail').getBoundingClientRect().width") <= 360
    assert pixels(tmp_path / "phone.png") == (360, 740)


@pytest.mark.real
def test_two_fingers_zoom_the_graph_of_a_phone(written: Path) -> None:
    width = "document.querySelector('#graph svg').viewBox.baseVal.width"
    with chromium() as browser:
        browser.open(written, width=360, height=740)
        browser.do("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=2)
        browser.ask("document.querySelector('#graph svg').scrollIntoView({behavior: 'instant'})")
        whole = browser.ask(width)
        for kind, apart in (("touchStart", 20), ("touchMove", 60), ("touchMove", 120)):
            points = [{"x": 180 - apart, "y": 300, "id": 0}, {"x": 180 + apart, "y": 300, "id": 1}]
            browser.do("Input.dispatchTouchEvent", type=kind, touchPoints=points)
        browser.do("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        assert browser.ask(width) < whole / 2
        assert browser.problems() == []


@pytest.mark.real
def test_four_hundred_packages_are_drawn(tmp_path: Path) -> None:
    if shutil.which("chromium") is None:
        cannot("chromium is not installed")
    names = tuple(f"c{n % 9}/p{n}-1::r" for n in range(400))
    edges = {name: names[n // 2 : n : max(1, n // 6)] for n, name in enumerate(names)}
    events: list[Event] = [Planned(machine="m", packages=names, edges=edges, time=0.0)]
    for n, name in enumerate(names):
        events += built(name, 1.0 * n, 1.0 * n + 30)
    events.sort(key=lambda event: event.time)
    path = tmp_path / "report.html"
    path.write_text(page(timeline(events), {}))
    with chromium() as browser:
        browser.open(path)
        assert browser.ask("document.querySelectorAll('#graph .node').length") == 400
        assert browser.ask("document.querySelectorAll('#timeline .lane').length") == 31
        assert browser.problems() == []
