"""A headless Chromium for tests, driven over the WebDriver protocol: what a page looks like, logs
and asks for.

Needs Debian's chromium and chromium-driver, nothing else. https://www.w3.org/TR/webdriver2/
"""

import base64
import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --force-device-scale-factor=1"
)


class Browser:
    """One window. Only this machine's own driver is spoken to."""

    def __init__(self, port: int) -> None:
        self._root = f"http://127.0.0.1:{port}"
        self._session = ""

    def start(self, profile: Path) -> None:
        options = {
            "args": [*_FLAGS.split(), f"--user-data-dir={profile}", "about:blank"],
            "binary": shutil.which("chromium"),
        }
        wanted = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{made['sessionId']}"

    def stop(self) -> None:
        if self._session:
            self._call("DELETE", self._session)

    def open(
        self, page: Path, *, width: int = 1280, height: int = 900, scheme: str = "light"
    ) -> None:
        """Load a file in a window of that size, with the user's wish for "light" or "dark"."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.devtools("Emulation.setDeviceMetricsOverride", **size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.devtools("Emulation.setEmulatedMedia", features=[feature])
        self._call("POST", f"{self._session}/url", {"url": page.resolve().as_uri()})

    def run(self, script: str) -> Any:
        """The value that a piece of JavaScript returns (the page's policy does not bind the
        driver).
        """
        return self._call("POST", f"{self._session}/execute/sync", {"script": script, "args": []})

    def screenshot(self) -> bytes:
        """The whole page as PNG."""
        taken = self.devtools("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(taken["data"])

    def console(self) -> list[str]:
        """What the page made the browser complain of since the last call."""
        return [entry["message"] for entry in self._log("browser")]

    def requests(self) -> list[str]:
        """Addresses that pages asked for since the last call, but for the browser's own new-tab
        page.
        """
        events = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        sent = [
            event["params"] for event in events if event["method"] == "Network.requestWillBeSent"
        ]
        return [
            params["request"]["url"]
            for params in sent
            if not params["documentURL"].startswith("chrome:")
        ]

    def devtools(self, command: str, **parameters: Any) -> Any:
        return self._call(
            "POST", f"{self._session}/goog/cdp/execute", {"cmd": command, "params": parameters}
        )

    def _log(self, kind: str) -> list[dict[str, Any]]:
        return list(self._call("POST", f"{self._session}/se/log", {"type": kind}))

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self._root + path, content, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]


@contextmanager
def open_browser(folder: Path) -> Iterator[Browser]:
    """A browser that keeps its files in `folder`. Look for chromium and chromedriver before."""
    driver = subprocess.Popen(
        ["chromedriver", "--port=0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=folder,
    )
    browser = None
    try:
        assert driver.stdout is not None
        line = next(line for line in driver.stdout if "started successfully on port" in line)
        browser = Browser(int(line.split("on port")[1].strip(" .\n")))
        browser.start(folder / "profile")
        yield browser
    finally:
        if browser is not None:
            browser.stop()
        driver.terminate()
        driver.wait(10)
        assert driver.stdout is not None
        driver.stdout.close()
