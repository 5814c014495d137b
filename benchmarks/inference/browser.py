"""Headless Chromium that is driven as a person drives it: pages, files, clicks, pictures.

It is spoken to by the DevTools protocol over two pipes, which needs no port and no package.
"""

import base64
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.report.picture import find_browser

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--remote-debugging-pipe"),
)

LAUNCH = """
import fcntl, os, sys
high = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
os.dup2(high[0], 3)
os.dup2(high[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""The protocol asks for the descriptors 3 and 4."""


class Browser:
    """A browser with one page, closed at the end of the block.

    Raises FileNotFoundError where no Chromium is installed.
    """

    def __init__(self, *flags: str) -> None:
        self._flags = flags
        self._number = 0
        self._session: str | None = None
        self._waiting = b""
        self.console: list[str] = []

    def __enter__(self) -> Self:
        program = find_browser()
        if program is None:
            raise FileNotFoundError("no Chromium is installed")
        with ExitStack() as stack:
            self._start(program, stack)
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
            self._session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Log", "DOM"):
                self.call(f"{domain}.enable")
            self._stack = stack.pop_all()
        return self

    def _start(self, program: str, stack: ExitStack) -> None:
        profile = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        theirs_in, self._ours_out = os.pipe()
        self._ours_in, theirs_out = os.pipe()
        stack.callback(os.close, self._ours_out)
        stack.callback(os.close, self._ours_in)
        command = [program, *FLAGS, f"--user-data-dir={profile}", *self._flags, "about:blank"]
        process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, str(theirs_in), str(theirs_out), *command],
            pass_fds=(theirs_in, theirs_out),
            stderr=subprocess.DEVNULL,
        )
        stack.callback(process.wait, 20)
        stack.callback(process.terminate)
        os.close(theirs_in)
        os.close(theirs_out)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def call(self, method: str, *, seconds: float = 120.0, **values: Any) -> dict[str, Any]:
        """Give a command of the protocol and wait for its answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": values}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._ours_out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + seconds
        while True:
            answer = self._read(deadline)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _read(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._waiting:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._ours_in], [], [], left)[0]:
                raise TimeoutError("the browser does not answer")
            found = os.read(self._ours_in, 1 << 20)
            if not found:
                raise RuntimeError("the browser has ended")
            self._waiting += found
        text, _, self._waiting = self._waiting.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message

    def _note(self, event: dict[str, Any]) -> None:
        """Keep what a page writes on its console, and what goes wrong in it."""
        values = event.get("params", {})
        if event.get("method") == "Runtime.consoleAPICalled":
            self.console.append(" ".join(str(each.get("value")) for each in values["args"]))
        elif event.get("method") == "Runtime.exceptionThrown":
            details = values["exceptionDetails"]
            self.console.append(str(details.get("exception", details).get("description", details)))
        elif event.get("method") == "Log.entryAdded":
            self.console.append(values["entry"]["text"])

    def open(self, address: str) -> None:
        """Go to a page; :meth:`until` waits for what it does."""
        self.call("Page.navigate", url=address)

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        found = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise RuntimeError(str(found["exceptionDetails"]))
        return found["result"].get("value")

    def until(self, script: str, *, seconds: float = 60.0) -> Any:
        """The value of an expression, as soon as it is true."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if found := self.evaluate(script):
                    return found
            except RuntimeError:  # the page is being loaded
                pass
            time.sleep(0.05)
        raise TimeoutError(f"{script} has not become true; the console says {self.console}")

    def choose(self, selector: str, file: Path) -> None:
        """Choose a file in an input of the page, as a person would."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file.resolve())])

    def picture(self, path: Path, *, width: int, height: int) -> None:
        """Write a picture of the page, as PNG."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        found = self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(found["data"]))
