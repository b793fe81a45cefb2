"""What Airflow's own schedulers queued of recorded states is what the diagnosis says nothing stands in the way of.

`python -m tests.e2e.diagnosis.record` asks the scheduler of an installed Airflow and writes the recording.
"""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest

from exporter.diagnosis.reasons import SCHEDULER
from exporter.diagnosis.waits.queueing import explain_scheduled
from exporter.diagnosis.waits.usage import LimitUsage
from tests.e2e.diagnosis.states import to_situation

RECORDED = sorted((Path(__file__).parents[2] / "data" / "diagnosis").glob("scheduler-*.json.xz"))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name)
def test_what_the_scheduler_queued_is_what_nothing_stops(path: Path) -> None:
    recorded = json.loads(lzma.decompress(path.read_bytes()))
    release = tuple(int(part) for part in recorded["version"].split("."))
    for number, case in enumerate(recorded["cases"]):
        situation = to_situation(case["state"], release)
        explained = list(explain_scheduled(situation, LimitUsage(situation)))
        free = {
            (row.dag_id, row.run_id, row.task_id, row.map_index) for row, reason in explained if reason is SCHEDULER
        }
        assert free == {tuple(row) for row in case["queued"]}, f"case {number}"


def test_both_releases_are_recorded() -> None:
    assert [path.name for path in RECORDED] == ["scheduler-2.11.2.json.xz", "scheduler-3.3.2.json.xz"]
