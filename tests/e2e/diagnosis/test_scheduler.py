"""The diagnosis agrees with the schedulers of real Airflows: what nothing stops is what they queue.

    AIRFLOW_VERSIONS="3.3.2 2.11.2" python -m pytest tests/e2e/diagnosis -m e2e -s

Needs no running Airflow: the scheduler's own code is called on a scratch database.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from demo.environment import install, release, venv_folder
from exporter.diagnosis.reasons import SCHEDULER
from exporter.diagnosis.waits.queueing import explain_scheduled
from exporter.diagnosis.waits.usage import LimitUsage
from tests.e2e.diagnosis.record import ask
from tests.e2e.diagnosis.states import make_state, to_situation

VERSIONS = os.environ.get("AIRFLOW_VERSIONS", "3.3.2 2.11.2").split()
STATES = int(os.environ.get("E2E_DIAGNOSIS_STATES", "500"))
TOLERANCE = 1 / 1_000
"""The share of states that may differ: which of a run's tasks the scheduler looks at depends on how many it found."""


@pytest.mark.e2e
@pytest.mark.parametrize("version", VERSIONS)
def test_what_nothing_stops_is_what_the_scheduler_queues(version: str) -> None:
    workdir = Path(".e2e").resolve()
    install(version, venv_folder(version, workdir), workdir / "install.log", print)
    first = random.SystemRandom().randrange(10**6)
    seeds = range(first, first + STATES)
    differing = []
    for seed, queued in zip(seeds, ask(version, [make_state(seed) for seed in seeds], workdir), strict=True):
        situation = to_situation(make_state(seed), release(version))
        explained = explain_scheduled(situation, LimitUsage(situation))
        free = [
            (row.dag_id, row.run_id, row.task_id, row.map_index) for row, reason in explained if reason is SCHEDULER
        ]
        if set(free) != {tuple(row) for row in queued}:
            differing.append(seed)
    print(f"{version}: {STATES} states from seed {first}, {len(differing)} differ: {differing}")
    assert len(differing) <= max(2, TOLERANCE * STATES)
