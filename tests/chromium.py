"""A headless Chromium, driven over a pipe by its DevTools protocol: no driver, no port, no network.

``python -m tests.chromium "results/page.html#experiments/dynamic" results/core/figures/page.png`` takes README's picture.
"""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PATH = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--remote-debugging-pipe",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


class Chromium:
    """One page. ``errors`` are what its console and its scripts complained of, ``requests`` all addresses asked for."""

    def __init__(self, profile, width=1200, height=900):
        theirs_in, self.out = os.pipe()
        self.into, theirs_out = os.pipe()
        high = [fcntl.fcntl(end, fcntl.F_DUPFD, 50) for end in (theirs_in, theirs_out)]  # out of the way of 3 and 4

        def hand_over():
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        command = [PATH, *FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}", "about:blank"]
        self.process = subprocess.Popen(
            command,
            pass_fds=(3, 4),
            preexec_fn=hand_over,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for end in (theirs_in, theirs_out, *high):
            os.close(end)
        self.buffer, self.number = b"", 0
        self.errors, self.requests = [], []
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.resize(width, height)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.out)
        os.close(self.into)

    def call(self, method, patience=300, **parameters):
        """The answer of one command; what happens meanwhile is noted."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + patience
        while (found := self._next(until)) is not None:
            if found.get("id") == self.number:
                if "error" in found:
                    raise RuntimeError(f"{method}: {found['error']}")
                return found["result"]
        raise TimeoutError(method)

    def _next(self, until):
        while b"\0" not in self.buffer:
            if not select.select([self.into], [], [], max(0, until - time.monotonic()))[0]:
                return None
            self.buffer += os.read(self.into, 1 << 20)
        line, self.buffer = self.buffer.split(b"\0", 1)
        message = json.loads(line)
        about, what = message.get("method"), message.get("params", {})
        if about == "Runtime.exceptionThrown":
            details = what["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        if about == "Runtime.consoleAPICalled" and what["type"] in ("error", "warning", "assert"):
            self.errors.append(" ".join(str(each.get("value", each.get("description"))) for each in what["args"]))
        if about == "Log.entryAdded" and what["entry"]["level"] in ("error", "warning"):
            self.errors.append(what["entry"]["text"])
        if about == "Network.requestWillBeSent" and not what["request"]["url"].startswith(("data:", "blob:")):
            self.requests.append(what["request"]["url"])
        return message

    def open(self, url):
        """Loads a page anew; returns milliseconds from asking for it until its scripts have run and it has been drawn."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=url)
        return self.run(
            """new Promise((done) => {
            const drawn = () => requestAnimationFrame(() => setTimeout(() => done(performance.now())));
            document.readyState === "complete" ? drawn() : addEventListener("load", drawn); })"""
        )

    def run(self, script):
        """What an expression is worth in the page (a promise: what it comes to)."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"].get("exception", {}).get("description", answer["exceptionDetails"]))
        return answer["result"].get("value")

    def resize(self, width, height=900):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def press(self, key, text=""):
        codes = {"Tab": 9, "Enter": 13, " ": 32, "Escape": 27}
        common = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": codes.get(key, 0)}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text or {"Enter": "\r", " ": " "}.get(key, ""), **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def picture(self):
        """PNG of what is seen, as base64."""
        return self.call("Page.captureScreenshot", format="png")["data"]


def main(page, picture):
    """A view of a page, as it is seen once it has been drawn, as PNG."""
    file, _, view = page.partition("#")
    with tempfile.TemporaryDirectory() as profile, Chromium(profile, 1200, 800) as browser:
        browser.open(f"{Path(file).resolve().as_uri()}#{view}")
        time.sleep(1)
        Path(picture).write_bytes(base64.b64decode(browser.picture()))


if __name__ == "__main__":
    main(*sys.argv[1:])
