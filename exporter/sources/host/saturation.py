"""Whether the machine has CPU to spare, in words for the diagnosis."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from exporter.metrics.catalogue.host import machine
from exporter.metrics.family import Family, Labels

FULL_USAGE = 0.95
"""Share of the CPUs in use from which on there is none to spare."""
HIGH_PRESSURE = 0.4
"""Share of the time in which some process waits for a CPU from which on there is none to spare."""


class Saturation:
    """The CPU of the machine, from two readings. `clock` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.text = ""
        """What shows that there is no CPU to spare; empty where there is, or it is not known."""
        self._clock = clock
        self._before: tuple[float, float] | None = None

    def update(self, tables: Mapping[Family, Mapping[Labels, float]]) -> None:
        """Take a reading of the machine."""
        now, waited = self._clock(), tables[machine.PRESSURE_WAITING].get(("cpu",))
        pressure = None
        if waited is not None and self._before is not None and now > self._before[0]:
            pressure = (waited - self._before[1]) / (now - self._before[0])
        self._before = None if waited is None else (now, waited)
        usage = tables[machine.CPU_USAGE].get(())
        parts = []
        if usage is not None and usage >= FULL_USAGE:
            parts.append(f"{usage:.0%} of its CPUs in use")
        if pressure is not None and pressure >= HIGH_PRESSURE:
            parts.append(f"processes wait for a CPU in {min(pressure, 1.0):.0%} of the time (PSI)")
        self.text = ", ".join(parts)
