"""Chromium without a window, told what to do by its DevTools protocol over two pipes; no package is needed for it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

START = 'exec "$@" 3<&{read} 4>&{write}'
"""The browser reads commands from file descriptor 3 and writes answers and events to 4."""
FLAGS = (
    "--headless",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-proxy-server",
)
TIMEOUT = 60.0


class Browser:
    """One page of one browser."""

    def __init__(self, program: str, folder: Path) -> None:
        """`folder` is for the browser's own files."""
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        self._rest = b""
        self._number = 0
        self._session = ""
        self.complaints: list[str] = []
        """Warnings, errors and exceptions that the page has caused since it was opened."""
        start = START.format(read=commands, write=answers)
        command = ["/bin/bash", "-c", start, "bash", program, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
        with (folder / "chromium.log").open("wb") as log:
            self._child = subprocess.Popen(
                command, pass_fds=(commands, answers), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        os.close(commands)
        os.close(answers)
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def close(self) -> None:
        """End the browser, also one that no longer answers."""
        self._session = ""
        try:
            self._call("Browser.close")
            self._child.wait(TIMEOUT)
        except (AssertionError, OSError, subprocess.TimeoutExpired):
            self._child.kill()
            self._child.wait()
        os.close(self._commands)
        os.close(self._answers)

    def open(self, url: str, *, width: int, height: int, scheme: str) -> None:
        """Open a page in a window of this size, light or dark, and wait until it is loaded."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", **metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._call("Emulation.setEmulatedMedia", features=features)
        self.complaints.clear()
        self._call("Page.navigate", url=url)
        end = time.monotonic() + TIMEOUT
        while self.evaluate("document.readyState + location.href") != f"complete{url}":
            assert time.monotonic() < end, "the page was not loaded"
            time.sleep(0.05)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression on the page."""
        return self._call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        while True:
            message = self._receive()
            if message.get("id") == self._number:
                assert "error" not in message, message
                return dict(message["result"])
            self._note(message)

    def _receive(self) -> dict[str, Any]:
        end = time.monotonic() + TIMEOUT
        while b"\0" not in self._rest:
            assert select.select([self._answers], [], [], max(0.0, end - time.monotonic()))[0], "no answer in time"
            part = os.read(self._answers, 65_536)
            assert part, "the browser has ended"
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(line))

    def _note(self, event: dict[str, Any]) -> None:
        """Note what a user would see in the console."""
        found = event.get("params", {})
        if event.get("method") == "Log.entryAdded" and found["entry"]["level"] in ("warning", "error"):
            self.complaints.append(found["entry"]["text"])
        elif event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(found["exceptionDetails"]["text"])
        elif event.get("method") == "Runtime.consoleAPICalled" and found["type"] in ("warning", "error", "assert"):
            self.complaints.append(join_arguments(found["args"]))


def join_arguments(arguments: Sequence[dict[str, Any]]) -> str:
    """What was written to the console."""
    return " ".join(str(one.get("value", one.get("description", ""))) for one in arguments)
