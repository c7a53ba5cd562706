"""A page in headless Chromium, driven through the DevTools protocol."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import websocket

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}


def program() -> str:
    """Return the path of Chromium; a test without it fails, and says what to do."""
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    assert found, (
        "Chromium is missing: run tools/chromium.sh, or set COSIM_BROWSER=none to leave these tests out"
    )
    return found


class Browser:
    """One headless Chromium with one page; a context manager."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [program(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0",
             "--disable-background-networking", "--no-first-run", f"--user-data-dir={self._folder.name}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self._count = 0
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._socket = self._connect()
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def _connect(self) -> websocket.WebSocket:
        active, deadline = Path(self._folder.name) / "DevToolsActivePort", time.monotonic() + 90
        while not active.is_file() or len(active.read_text().split()) < 2:
            assert time.monotonic() < deadline, "Chromium did not start"
            assert self._process.poll() is None, "Chromium ended at once"
            time.sleep(0.05)
        port = active.read_text().split()[0]
        import urllib.request

        pages = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list"))
        address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        return websocket.create_connection(address, timeout=120, suppress_origin=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()
        os.killpg(self._process.pid, signal.SIGKILL)  # Debian's program is a shell script: its children too
        self._process.wait(timeout=30)
        self._folder.cleanup()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result; events on the way are noted."""
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == self._count:
                assert "error" not in message, (method, message["error"])
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        method, content = message["method"], message["params"]
        if method == "Network.requestWillBeSent":
            self.requests.append(content["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(content["exceptionDetails"])[:500])
        elif method == "Log.entryAdded" or (
            method == "Runtime.consoleAPICalled" and content["type"] in ("error", "warning", "assert")
        ):
            self.complaints.append(json.dumps(content)[:500])

    def look(self, size: str = "desktop", scheme: str = "light") -> None:
        """Set the size of the page and the colour scheme that it shall prefer."""
        width, height = SIZES[size]
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
            mobile=size == "phone",
        )  # fmt: skip
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, path: Path) -> float:
        """Open a file; return the seconds until its load event, by the page's own clock."""
        self.call("Page.navigate", url=path.resolve().as_uri())
        deadline = time.monotonic() + 120
        while not self.value(
            "document.readyState === 'complete' && location.protocol === 'file:' && performance.getEntriesByType('navigation')[0].loadEventEnd > 0"
        ):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return float(self.value("performance.getEntriesByType('navigation')[0].loadEventEnd")) / 1e3

    def value(self, expression: str) -> Any:
        """Return the value of an expression of the page, awaited."""
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, (expression, result["exceptionDetails"])
        return result["result"].get("value")

    def wait(self, expression: str, seconds: float = 60.0) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + seconds
        while not self.value(expression):
            assert time.monotonic() < deadline, expression
            time.sleep(0.05)

    def place(self, selector: str) -> tuple[float, float, float, float]:
        """Scroll an element into view and return its left, top, width and height on the screen."""
        self.value(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        box = self.value(
            f"(b => [b.left, b.top, b.width, b.height])(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        )
        return tuple(box)

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """Move, press or release the mouse."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def screenshot(self, path: Path, *, height: int | None = None) -> None:
        """Write a picture of the page from its top, ``height`` pixels of it."""
        self.value("scrollTo(0, 0)")
        width = self.value("innerWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": height or self.value("innerHeight"), "scale": 1}
        picture = self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(picture["data"]))


def left_out() -> bool:
    """Tell whether a person has decided to leave the tests of the page out; never so in CI."""
    return os.environ.get("COSIM_BROWSER") == "none" and not os.environ.get("CI")
