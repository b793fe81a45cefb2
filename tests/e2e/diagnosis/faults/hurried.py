"""The exporter with less patience: what it calls long after minutes or hours is long after some seconds.

    python -m tests.e2e.diagnosis.faults.hurried serve ...

As for alerts in overrides.py: what is shortened is computed from what is shipped.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import exporter.diagnosis.waits
from exporter.cli import main

FACTOR = 30
SHORT = 100.0
"""Seconds from which on a time is patience; shorter ones are how long normal work takes."""
LEAST, MOST = 20.0, 60.0
"""Seconds of what is shortened."""


def list_times(module: ModuleType) -> Iterator[tuple[str, float]]:
    """The constants of a module that are seconds of patience."""
    for name, value in vars(module).items():
        if name.isupper() and name.endswith("_SECONDS") and isinstance(value, float) and value >= SHORT:
            yield name, value


def shorten(seconds: float) -> float:
    """Some seconds in the place of many."""
    return min(MOST, max(LEAST, seconds / FACTOR))


def hasten() -> None:
    """Shorten the patience of the diagnosis of what waits, in every module that knows it."""
    package = exporter.diagnosis.waits
    names = set()
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        names |= {name for name, _ in list_times(import_module(info.name))}
    for title, loaded in list(sys.modules.items()):
        if title.startswith("exporter."):
            for name, value in list(list_times(loaded)):
                if name in names:
                    setattr(loaded, name, shorten(value))


if __name__ == "__main__":
    hasten()
    main()
