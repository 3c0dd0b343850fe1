"""A headless Chromium, driven through its own debugging pipe (Chrome DevTools Protocol).

Messages are JSON objects with a NUL behind each: to the browser on its descriptor 3, from it on 4.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ARGUMENTS = (
    "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu",
    "--no-first-run", "--disable-extensions", "--disable-background-networking",
    "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip


class Page:
    """One page of the browser."""

    def __init__(self, to: int, come: int) -> None:
        self._to, self._come = to, os.fdopen(come, "rb", buffering=0)
        self._number = 0
        self._rest = b""
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.do(f"{domain}.enable")

    def do(self, method: str, **params: Any) -> dict[str, Any]:
        """One command, and its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            data = self._come.read(1 << 20)
            assert data, "the browser went away"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\0")
        return json.loads(line)

    def open(self, page: Path | str, *, width: int = 1200, height: int = 800) -> None:
        """Show a file or an address, and wait until it is loaded."""
        self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 500,
        )  # fmt: skip
        self.events.clear()
        self.do("Page.navigate", url=page if isinstance(page, str) else page.as_uri())
        self.wait_for_load()

    def wait_for_load(self) -> None:
        """Until a page is loaded."""
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def ask(self, expression: str) -> Any:
        """The value of an expression in the page; promises are waited for."""
        result = self.do(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def click(self, selector: str, number: int = 0) -> None:
        """Press the mouse in the middle of an element, which is scrolled to before."""
        x, y = self.ask(
            f"(() => {{ const e = document.querySelectorAll({json.dumps(selector)})[{number}];"
            "e.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const r = e.getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2] })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.do("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str, text: str = "", modifiers: int = 0) -> None:
        """Press a key, and release it."""
        code = {"Tab": 9, "Enter": 13, "Escape": 27}.get(key, ord(key[0]))
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        text = "\r" if key == "Enter" else text
        self.do("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.do("Input.dispatchKeyEvent", type="keyUp", **common)

    def write(self, selector: str, text: str) -> None:
        """Type into a field."""
        self.ask(f"document.querySelector({json.dumps(selector)}).focus()")
        self.do("Input.insertText", text=text)

    def wait_for(self, expression: str, seconds: float = 10.0) -> None:
        """Until an expression is true."""
        found = self.ask(
            "new Promise(done => { const end = Date.now() + "
            f"{seconds * 1000}; const look = () => ({expression}) ? done(true) :"
            " Date.now() > end ? done(false) : setTimeout(look, 50); look() })"
        )
        assert found, expression

    def screenshot(self, path: Path) -> None:
        """What is seen, as PNG."""
        path.write_bytes(base64.b64decode(self.do("Page.captureScreenshot")["data"]))

    def problems(self) -> list[str]:
        """Exceptions and what the browser complained about since the page was opened."""
        return [
            json.dumps(event["params"])
            for event in self.events
            if event.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded")
        ]

    def requests(self) -> list[str]:
        """Addresses of all that was asked for since the page was opened."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]


@contextmanager
def chromium() -> Iterator[Page]:
    """A browser with one page, gone after the block."""
    program = shutil.which("chromium")
    assert program, "chromium is not installed"
    # Its other processes may still write there when it has ended.
    places = tempfile.TemporaryDirectory(prefix="cloche-chromium-", ignore_cleanup_errors=True)
    with places as home:
        to_read, to_write = os.pipe()
        from_read, from_write = os.pipe()
        command = ["bash", "-c", f'exec {program} "$@" 3<&{to_read} 4>&{from_write}', "chromium"]
        process = subprocess.Popen(
            [*command, *ARGUMENTS, f"--user-data-dir={home}"],
            env={"PATH": os.environ["PATH"], "HOME": home, "TMPDIR": home},
            pass_fds=(to_read, from_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(from_write)
        try:
            yield Page(to_write, from_read)
        finally:
            process.terminate()
            process.wait(20)
            os.close(to_write)
