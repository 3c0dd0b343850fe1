"""The pages in a real browser: live, by keyboard, on a phone, without JavaScript."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.display.chromium import Page, chromium
from tests.service.serving import (
    Server,
    add_package,
    add_target,
    served,
    server_of,
    written_project,
)
from tests.support import Store, cannot, project
from tests.targets.described import PROJECT, described, entry

pytestmark = pytest.mark.real
OLD = {"dev-libs/leaf-1.0": entry("0/1", iuse="veins")}
ACTIVE = "document.activeElement"


@pytest.fixture(scope="module")
def server(root_seeded: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that can build."""
    store = root_seeded.copy(tmp_path_factory.mktemp("browser") / "store")
    with served(server_of(project(store, PROJECT), store=store.path)) as made:
        yield made


@pytest.fixture
def page() -> Iterator[Page]:
    """A browser."""
    if shutil.which("chromium") is None:
        cannot("chromium: not installed")
    with chromium() as opened:
        yield opened


def log_in(page: Page, server: Server, token: str, path: str = "/") -> None:
    """Enter a token, by keyboard alone."""
    page.open(f"{server.url}{path}")
    assert page.ask("location.pathname") == "/login"
    page.write("#token", token)
    page.events.clear()
    page.press("Enter")
    page.wait_for_load()
    assert page.ask("location.pathname") == path


def tab_to(page: Page, condition: str) -> None:
    """Press Tab until a condition holds for the element that has the focus."""
    for _ in range(40):
        page.press("Tab")
        if page.ask(f"Boolean({condition})"):
            return
    raise AssertionError(f"no Tab leads to {condition}")


def test_a_build_is_seen_live_and_asked_for_by_keyboard(
    server: Server, page: Page, tmp_path: Path
) -> None:
    target = server.enrol(described(OLD, {"USE": "fruit"}), server.token(), name="phone")
    log_in(page, server, target["token"], f"/targets/{target['id']}")
    tab_to(page, f"{ACTIVE}.id == 'atoms'")
    page.do("Input.insertText", text="app-misc/tree")
    tab_to(page, f"{ACTIVE}.matches('.want button')")
    page.events.clear()
    page.press("Enter")
    page.wait_for_load()
    assert page.ask("location.pathname").startswith("/builds/")
    page.wait_for("document.querySelector('#live table')", 60)
    loaded = page.ask("performance.getEntriesByType('navigation').length + performance.timeOrigin")
    tab_to(page, f"{ACTIVE}.id == 'act'")
    page.wait_for("document.querySelector('#state').dataset.state == 'done'", 120)
    page.wait_for("document.querySelectorAll('#live table')[1]?.innerText.includes('accepted')")
    assert page.ask("document.querySelector('#act').innerText") == "Repeat"
    assert page.ask(f"{ACTIVE}.id") == "act"  # what had the focus has it still
    assert "ended: done" in page.ask("document.querySelector('#said').innerText")
    again = page.ask("performance.getEntriesByType('navigation').length + performance.timeOrigin")
    assert again == loaded  # the page was not loaded again
    page.wait_for("document.querySelector('.graph img').complete")
    assert page.ask("document.querySelector('.graph img').naturalWidth") > 100
    page.screenshot(tmp_path / "build.png")
    assert page.problems() == []


def test_a_failure_is_read_and_repeated_without_javascript(server: Server, page: Page) -> None:
    target = server.enrol(described(), server.token(), name="old phone")
    ended = server.build(target, "app-misc/broken")
    assert ended["state"] == "failed"
    page.do("Emulation.setScriptExecutionDisabled", value=True)
    log_in(page, server, target["token"], f"/builds/{ended['build']}")
    text = page.ask("document.body.innerText")
    assert "no way" in text
    assert "the wind is too strong" in text  # the lines of the log that explain it
    page.events.clear()
    page.click("a[aria-label^='Log of']")
    page.wait_for_load()
    assert "the wind is too strong" in page.ask("document.body.innerText")
    page.open(f"{server.url}/builds/{ended['build']}")
    page.events.clear()
    page.click("#act")
    page.wait_for_load()
    assert page.ask("document.querySelector('#state').dataset.state") in ("queued", "running")
    assert page.ask("document.querySelector('#act').innerText") == "Stop"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone_and_have_contrast(tmp_path: Path, page: Page, scheme: str) -> None:
    server = server_of(written_project(tmp_path))
    target = add_target(server, name="a machine with a name that is rather long for a phone")
    for number in range(3):
        add_package(server, target, f"app-misc/a-package-with-a-long-name-{number}")
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.do("Emulation.setEmulatedMedia", features=features)
    with served(server):
        log_in(page, server, server.admin)
        for path in ("/", "/targets", f"/targets/{'0' * 12}", "/builds", "/packages"):
            page.open(f"{server.url}{path}", width=360, height=640)
            assert page.ask("document.documentElement.scrollWidth") <= 360, path
            assert page.ask(SMALLEST) >= 24, path  # WCAG 2.2, 2.5.8
            assert page.ask(CONTRAST) >= 4.5, path  # WCAG 2.2, 1.4.3
            assert page.problems() == []


#: The smallest side of what is pressed: buttons, fields, and the links of the navigation.
SMALLEST = """Math.min(...[...document.querySelectorAll('button, input, textarea, select, nav a')]
  .map(e => e.getBoundingClientRect()).map(r => Math.min(r.width, r.height)))"""
#: The least contrast of a text with the page.
CONTRAST = """(() => {
  const numbers = text => text.match(/[\\d.]+/g).map(Number);
  const light = c => { const [r, g, b] = c.slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = e => { for (; e; e = e.parentElement) {
    const c = numbers(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
  let least = 21;
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType == 3 && n.data.trim())) continue;
    const [a, b] = [light(numbers(getComputedStyle(e).color)), light(behind(e))];
    least = Math.min(least, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
  return least; })()"""
