"""Whether the machine has CPU to spare, in words."""

from __future__ import annotations

from exporter.metrics.catalogue.host import machine
from exporter.metrics.family import Family, Labels
from exporter.sources.host.saturation import Saturation


def tables(usage: float | None = None, waited: float | None = None) -> dict[Family, dict[Labels, float]]:
    return {
        machine.CPU_USAGE: {} if usage is None else {(): usage},
        machine.PRESSURE_WAITING: {} if waited is None else {("cpu",): waited},
    }


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
