"""Whether the machine has CPU to spare, in words, and what it has room for."""

from __future__ import annotations

import math

from exporter.diagnosis.report import MachineRoom
from exporter.metrics.catalogue.host import machine
from exporter.metrics.family import Family, Labels
from exporter.sources.host.saturation import Saturation


def tables(usage: float | None = None, waited: float | None = None) -> dict[Family, dict[Labels, float]]:
    return {
        **{family: {} for family in machine.FAMILIES},
        machine.CPU_USAGE: {} if usage is None else {(): usage},
        machine.PRESSURE_WAITING: {} if waited is None else {("cpu",): waited},
    }


def size(usage: float, **groups: tuple[float, float, float, float]) -> dict[Family, dict[Labels, float]]:
    """Eight CPUs and 100 bytes, of which 60 are available; groups by path: limits of CPU and memory, use of both."""
    found = tables(usage)
    found |= {machine.CPUS: {(): 8.0}, machine.AVAILABLE: {(): 60.0}}
    found[machine.MEMORY] = {("used",): 40.0, ("free",): 60.0}
    for place, family in enumerate(
        (machine.CGROUP_CPU_LIMIT, machine.CGROUP_MEMORY_LIMIT, machine.CGROUP_CPU, machine.CGROUP_WORKING_SET)
    ):
        found[family] = {(path,): group[place] for path, group in groups.items()}
    return found


def test_usage_and_pressure_are_named_where_they_are_high() -> None:
    clock = iter((0.0, 10.0, 20.0, 30.0))
    saturation = Saturation(lambda: next(clock))
    saturation.update(tables(0.5, 0.0))
    assert saturation.text == ""
    saturation.update(tables(0.98, 5.0))
    assert saturation.text == "98% of its CPUs in use, processes wait for a CPU in 50% of the time (PSI)"
    saturation.update(tables(0.5, 5.1))
    assert saturation.text == ""
    saturation.update(tables())
    assert saturation.text == ""


def measure(*readings: dict[Family, dict[Labels, float]], seconds: float = 30.0) -> MachineRoom:
    clock = iter(range(0, 1_000_000, int(seconds)))
    saturation = Saturation(lambda: float(next(clock)))
    for reading in readings:
        saturation.update(reading)
    return saturation.room


def test_the_cpus_in_use_are_averaged_over_minutes() -> None:
    assert measure(tables()) == MachineRoom()
    assert measure(size(0.5)) == MachineRoom(8.0, 4.0, 100.0, 60.0)
    used = measure(size(0.5), size(1.0)).used_cpus
    assert used is not None
    assert 4.3 < used < 4.5
    assert measure(size(0.5), size(1.0), seconds=600).used_cpus == 8.0


def test_the_limits_of_the_only_control_group_hold() -> None:
    room = measure(size(0.5, pod=(2.0, 50.0, 10.0, 30.0)), size(0.5, pod=(2.0, 50.0, 25.0, 30.0)))
    assert room == MachineRoom(2.0, 0.5, 50.0, 20.0, "pod")
    unlimited = measure(size(0.5, pod=(math.inf, math.inf, 10.0, 30.0)))
    assert unlimited == MachineRoom(8.0, 4.0, 100.0, 60.0)


def test_of_several_control_groups_it_is_not_known_which_one_tasks_run_in() -> None:
    room = measure(size(0.5, scheduler=(2.0, 50.0, 1.0, 1.0), worker=(math.inf, math.inf, 1.0, 1.0)))
    assert room == MachineRoom(8.0, 4.0, 100.0, 60.0, other_limits=["scheduler"])
