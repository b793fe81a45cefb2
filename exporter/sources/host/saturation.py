"""Whether the machine has CPU to spare, and what it has room for: for the diagnosis."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from exporter.diagnosis.report import MachineRoom
from exporter.metrics.catalogue.host import machine
from exporter.metrics.family import Family, Labels

FULL_USAGE = 0.95
"""Share of the CPUs in use from which on there is none to spare."""
HIGH_PRESSURE = 0.4
"""Share of the time in which some process waits for a CPU from which on there is none to spare."""

AVERAGE_SECONDS = 300.0
"""Over how long the CPUs in use are averaged."""
Tables = Mapping[Family, Mapping[Labels, float]]


class Saturation:
    """The CPU of the machine, from two readings. `clock` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.text = ""
        """What shows that there is no CPU to spare; empty where there is, or it is not known."""
        self.room = MachineRoom()
        self._clock = clock
        self._before: tuple[float, float] | None = None
        self._usage, self._group_cpus, self._group_rate = MovingAverage(), MovingAverage(), CounterRate()

    def update(self, tables: Tables) -> None:
        """Take a reading of the machine."""
        now, waited = self._clock(), tables[machine.PRESSURE_WAITING].get(("cpu",))
        self._update_room(tables, now)
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

    def _update_room(self, tables: Tables, now: float) -> None:
        usage, cpus = tables[machine.CPU_USAGE].get(()), tables[machine.CPUS].get(())
        self._usage.add(usage, now)
        share = self._usage.value
        room = MachineRoom(
            cpus,
            None if share is None or cpus is None else share * cpus,
            sum(tables[machine.MEMORY].values()) or None,
            tables[machine.AVAILABLE].get(()),
        )
        self.room = self._apply_limits(room, tables, now)

    def _apply_limits(self, room: MachineRoom, tables: Tables, now: float) -> MachineRoom:
        """The room within the limits of the control group. With several groups it is that of the machine."""
        cpus, memory = (
            {path: value for (path,), value in tables[family].items() if math.isfinite(value)}
            for family in (machine.CGROUP_CPU_LIMIT, machine.CGROUP_MEMORY_LIMIT)
        )
        limited = sorted({*cpus, *memory})
        if not limited:
            return room
        if len({*limited, *(path for (path,) in tables[machine.CGROUP_WORKING_SET])}) > 1:
            return room._replace(other_limits=limited)
        [path] = limited
        used = self._group_rate.add(tables[machine.CGROUP_CPU].get((path,)), now)
        self._group_cpus.add(used, now)
        if cpus.get(path, math.inf) < (room.cpus or 0.0):
            room = room._replace(cpus=cpus[path], used_cpus=self._group_cpus.value, limit=path)
        if memory.get(path, math.inf) < (room.memory or 0.0):
            left = max(0.0, memory[path] - tables[machine.CGROUP_WORKING_SET].get((path,), 0.0))
            room = room._replace(memory=memory[path], available=min(left, room.available or left), limit=path)
        return room


class MovingAverage:
    """An average over some minutes in which older values count less and less."""

    def __init__(self) -> None:
        self.value: float | None = None
        self._at = -math.inf

    def add(self, value: float | None, now: float) -> None:
        """Take a value; None where it is not known."""
        if value is not None:
            weight = min(1.0, (now - self._at) / AVERAGE_SECONDS)
            self.value = value if self.value is None else self.value + weight * (value - self.value)
            self._at = now


class CounterRate:
    """What a counter grows by per second, from one reading to the next."""

    def __init__(self) -> None:
        self._before: tuple[float, float] | None = None

    def add(self, value: float | None, now: float) -> float | None:
        """Take a reading; the rate since the one before, None where that is not known."""
        before, self._before = self._before, None if value is None else (now, value)
        if value is None or before is None or now <= before[0] or value < before[1]:
            return None
        return (value - before[1]) / (now - before[0])
