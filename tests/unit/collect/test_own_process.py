"""The exporter's own families agree with what psutil and Python report of this process."""

from __future__ import annotations

import gc
import platform
import resource
import time
from pathlib import Path

import psutil
import pytest

from exporter.collect.own_process import build_process_collector, collect
from exporter.metrics.catalogue import own_process


def test_every_family_has_a_value() -> None:
    assert {family.name for family, values in collect().items() if not values} == set()


def test_the_process_is_this_one() -> None:
    process = psutil.Process()
    values = {family: table.get(()) for family, table in collect().items()}
    memory = process.memory_info()
    assert values[own_process.RESIDENT_MEMORY] == pytest.approx(memory.rss, rel=0.1)
    assert values[own_process.VIRTUAL_MEMORY] == pytest.approx(memory.vms, rel=0.1)
    assert values[own_process.OPEN_FDS] == pytest.approx(process.num_fds(), abs=2)
    assert values[own_process.MAX_FDS] == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert values[own_process.START_TIME] == pytest.approx(process.create_time(), abs=1.5)


def test_systemd_may_hide_what_is_no_process(tmp_path: Path) -> None:
    """airflow-exporter.service has ProcSubset=pid: there is no /proc/stat, which has the time of the boot."""
    (tmp_path / "self").symlink_to("/proc/self")
    values = {
        sample.name: sample.value
        for metric in build_process_collector(str(tmp_path)).collect()
        for sample in metric.samples
    }
    assert values["process_start_time_seconds"] == pytest.approx(psutil.Process().create_time(), abs=1.5)
    assert values.keys() == {family.name for family in own_process.FAMILIES if family.name.startswith("process_")}


def test_cpu_is_user_and_system_time() -> None:
    before = time.process_time()
    [cpu] = collect()[own_process.CPU].values()
    after = time.process_time()
    # The kernel counts whole ticks of 10 ms, for user and system time each.
    assert before - 0.05 <= cpu <= after + 0.05


def test_python_and_its_garbage_collector() -> None:
    before = gc.get_stats()[2]["collections"]
    gc.collect()
    tables = collect()
    assert tables[own_process.GC_COLLECTIONS]["2",] > before
    [labels] = tables[own_process.PYTHON]
    assert labels[0] == platform.python_implementation()
    assert labels[-1] == platform.python_version()
