"""The Airflows in which the faults happen, and which of them a day's run has."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from demo.environment import Executor, release
from demo.preparation import Pool
from demo.workdir import free_port
from tests.alertmanager.server import hurried
from tests.e2e.alerts import overrides
from tests.e2e.alerts.stage import Plan
from tests.e2e.diagnosis.faults.failing import FAILURES
from tests.e2e.diagnosis.faults.fault import Fault
from tests.e2e.diagnosis.faults.limits import LIMITS, PARALLELISM, WORKERS
from tests.e2e.diagnosis.faults.play import HURRIED, Play
from tests.e2e.diagnosis.faults.running import COSTS, CROWDED, LOCKED, WAITS, burn_alone

DAGS = Path(__file__).resolve().parents[1] / "dags"
FACTOR = 30
"""By which alerts and windows are shorter."""
POOLS = {
    "tiny": Pool(2, "less than one task asks for"),
    "closed": Pool(0, "nothing ever runs"),
    "narrow": Pool(1, "held by one, wanted by others"),
    "contested": Pool(1, "the heavier goes first"),
    "shared": Pool(2, "for old days and today"),
    "both": Pool(1, "wanted by a DAG that has another limit too"),
}


class Scene(NamedTuple):
    """One Airflow, and what goes wrong in it, act after act."""

    name: str
    acts: Sequence[Sequence[Fault]]
    aside: Sequence[Callable[[Play], None]] = ()
    """What is begun beside the first act, for a later one."""
    parallelism: int = 48
    executor: Executor = "LocalExecutor"
    is_quiet_first: bool = False
    """Whether healthy DAGs run for a while before anything goes wrong, and nothing may be named then."""


SCENES = (
    Scene("limits", [WAITS + LIMITS + COSTS + FAILURES, CROWDED, LOCKED], aside=[burn_alone]),
    Scene("parallelism", [PARALLELISM], parallelism=4, is_quiet_first=True),
    Scene("workers", [WORKERS], executor="CeleryExecutor"),
)


def list_scenes(versions: Sequence[str], today: date | None = None) -> list[tuple[str, Scene]]:
    """Every scene in every release; with a date a third of them, another one each day.

    Two thirds are the long scenes of even and of odd releases, the last one is all short scenes.
    """
    everything = [(version, scene) for version in versions for scene in SCENES]
    if today is None:
        return everything
    thirds: list[list[tuple[str, Scene]]] = [[], [], []]
    for version, scene in everything:
        thirds[versions.index(version) % 2 if len(scene.acts) > 1 else 2].append((version, scene))
    return thirds[today.toordinal() % len(thirds)]


def list_faults(scene: Scene, version: str) -> list[list[Fault]]:
    """The faults of each act that can happen in this release."""
    major = release(version)[0]
    return [[fault for fault in act if major in fault.releases] for act in scene.acts]


def make_plan(version: str, scene: Scene) -> Plan:
    """How this scene is set up: with alerts that are shorter, and readings that are more frequent."""
    return Plan(
        version=version,
        port=int(os.environ.get("E2E_PORT", "0")) or free_port(),
        dags=DAGS,
        pools=POOLS,
        settings={
            "AIRFLOW__CORE__PARALLELISM": str(scene.parallelism),
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": "2",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "20",
            # Thirty tasks that start at once on two CPUs get no answer within the usual five seconds, and fail.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL": "20",
        },
        exporter_flags=("--airflow.interval=5s", "--host.interval=2s", "--exposition.birth-hold=3s"),
        exporter_config="airflow:\n  intervals: {dags: 8s, jobs: 5s, import_errors: 5s, config: 5s}\n",
        change_rules=lambda rules: overrides.hasten(rules, FACTOR),
        change_routes=hurried,
        seconds=overrides.SECONDS,
        executor=scene.executor,
        user="admin",
        exporter_module=HURRIED,
        reads_database=True,
    )
