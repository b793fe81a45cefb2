"""The table that an end-to-end run of the compose project leaves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Report:
    """Figures by name, in the order in which they came."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, str]] = []
        self.began = time.time()
        self.origins: dict[str, str] = {}

    @contextmanager
    def timing(self, what: str) -> Iterator[None]:
        """How long this takes; `began` is the beginning of the last one."""
        self.began = time.time()
        yield
        self.took(what, time.time() - self.began)

    def took(self, what: str, seconds: float) -> None:
        """So many seconds."""
        self.say(what, f"{seconds:.0f} s")

    def say(self, what: str, value: str) -> None:
        """Anything else."""
        self._rows.append((what, value))
        print(f"{what}: {value}", flush=True)

    def write(self, path: Path) -> None:
        """Print all and keep it in a file."""
        lines = ["| what | |", "| --- | --- |", *(f"| {what} | {value} |" for what, value in self._rows)]
        lines += ["", *(f"- {image}: {origin}" for image, origin in self.origins.items())]
        text = "\n".join(lines) + "\n"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print("\n" + text, flush=True)
