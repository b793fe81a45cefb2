"""Nothing is lost or counted twice while the exporter is killed and all around it fails.

    AIRFLOW_VERSIONS="3.3.2 2.11.2" CHAOS_MINUTES=60 CHAOS_SEED=1 python -m pytest tests/e2e/chaos -m e2e -s

Leaves a report for each release in .e2e/ (or $E2E_FOLDER). Needs PostgreSQL's server programs; the disk of the state
file is only filled where this process may mount a tmpfs (root).
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from demo.workdir import free_port
from exporter.metrics.catalogue.statsd import dag_processor, executor, internals, jobs, scheduler, triggerer
from exporter.metrics.catalogue.statsd import tasks as execution
from tests.e2e.chaos.disk import mount_disk
from tests.e2e.chaos.plan import Stage, make_plan, play, revive
from tests.e2e.chaos.report import ChaosResult
from tests.e2e.chaos.watch import SENT, WRITE_SECONDS, CounterWatch, LineSender, StepBack, judge_lines
from tests.e2e.exactness import environment as exactness
from tests.e2e.exactness.audit import first_starts
from tests.e2e.exactness.comparison import Verdict, compare
from tests.e2e.exactness.environment import (
    SETTINGS,
    Environment,
    keep,
    start_audited_airflow,
    wait_polls,
    wait_until_quiet,
)
from tests.e2e.exactness.events import RunContext
from tests.e2e.exactness.gauges import Sampler
from tests.e2e.exactness.proxy import Proxy
from tests.e2e.exactness.subject import Subject

HERE = Path(__file__).resolve().parent
VERSIONS = os.environ.get("AIRFLOW_VERSIONS", "3.3.2 2.11.2").split()
MINUTES = float(os.environ.get("CHAOS_MINUTES", "2"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))
FOLDER = Path(os.environ.get("E2E_FOLDER", ".e2e"))
SHARED_DAGS = ("e2e_compat.py", "by_hand.py")
DAG_COUNT = 11
STATSD = (dag_processor, executor, internals, jobs, scheduler, execution, triggerer)
OF_STATSD = ("airflow_custom_", *(family.name for module in STATSD for family in module.FAMILIES))
MAX_LATE_SECONDS = 330.0
"""How many seconds after Airflow is quiet something may still be counted: what was missed is found again by then."""


def say(message: str) -> None:
    """Progress, past pytest's capture."""
    print(message, file=sys.__stderr__, flush=True)


@pytest.mark.e2e
@pytest.mark.parametrize("version", VERSIONS)
def test_no_try_is_lost_or_counted_twice(version: str) -> None:
    folder = (FOLDER / f"chaos-{version}").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    result = run(version, folder)
    report = "\n".join(result.report())
    (FOLDER / f"chaos-{version}.txt").write_text(report + "\n", encoding="utf-8")
    say(report)
    assert not result.problems()


def run(version: str, folder: Path) -> ChaosResult:
    """Let Airflow work, disturb everything, wait until it is quiet, compare."""
    with ExitStack() as stack:
        port = free_port()
        disk = stack.enter_context(mount_disk(folder / "disk"))
        say("the disk of the state file can be filled" if disk else "NOT TRIED: a full disk, a tmpfs cannot be mounted")
        airflow, console, database, audit = stack.enter_context(
            start_audited_airflow(
                version, folder, say, choose_settings(port), dags=gather_dags(folder), dag_count=DAG_COUNT
            )
        )
        proxy = Proxy(airflow.url, SEED)
        stack.callback(proxy.close)
        flags = [
            *exactness.flags(airflow, proxy, folder),
            "--collector.statsd",
            f"--statsd.listen-udp=127.0.0.1:{port}",
            "--statsd.listen-tcp=",
        ]
        subject = Subject(folder, flags, state_folder=folder / "disk")
        stack.callback(subject.close)
        watch, sender = CounterWatch(subject), LineSender(port)
        stage = Stage(RunContext(airflow, console, database, proxy, subject, SEED), disk)
        environment = Environment(stage.context, audit, Sampler(subject, proxy), None)
        console.pause_all(False)
        subject.start()
        subject.wait_ready()
        watch.start()
        stack.callback(watch.close)
        sender.start()
        stack.callback(sender.close)
        play(stage, make_plan(MINUTES, SEED), say)
        revive(airflow)
        return conclude(version, folder, stage, environment, watch, sender)


def choose_settings(port: int) -> dict[str, str]:
    """Airflow's settings: StatsD goes to this port, and files that never change are seldom parsed."""
    return {
        **SETTINGS,
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
        "AIRFLOW__METRICS__STATSD_PORT": str(port),
        "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL": "300",
        "AIRFLOW__SCHEDULER__PARSING_PROCESSES": "1",
    }


def conclude(
    version: str, folder: Path, stage: Stage, environment: Environment, watch: CounterWatch, sender: LineSender
) -> ChaosResult:
    """Wait until everything is counted, and compare."""
    context, audit = environment.context, environment.audit
    wait_polls(environment, wait_until_quiet(context.console, context.database, audit, say))
    sender.close()
    time.sleep(WRITE_SECONDS)
    walks = environment.walks()
    exposition = context.subject.scrape()
    starts = first_starts(context.proxy.exchanges(), walks, context.subject.log_lines())
    cells = audit.judge(starts, walks, exposition)
    end = time.monotonic() + MAX_LATE_SECONDS
    while any(one.verdict is Verdict.WRONG for one in compare(cells, exposition)) and time.monotonic() < end:
        time.sleep(10)
        exposition = context.subject.scrape()
    watch.close()
    lines = [f"{time.strftime('%H:%M:%S', time.localtime(at))} {text}" for at, text in stage.log]
    (folder / "events.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    keep(folder, cells, exposition, environment)
    stepped, allowed = sort_steps(watch.steps_back, stage)
    counted = sum(value for series, value in exposition.items() if series.name == SENT)
    return ChaosResult(
        version,
        MINUTES,
        SEED,
        stage.counts,
        audit.tries(),
        compare(cells, exposition),
        watch.series,
        watch.scrapes,
        stepped,
        allowed,
        judge_lines(sender.sent, int(counted), [(last_write(stage, at), at) for at in stage.kills], watch.answered),
        {key.label("reason"): value for key, value in exposition.items() if "unaccounted" in key.name and value},
        context.subject.ended,
    )


def last_write(stage: Stage, kill: float) -> float:
    """Everything that StatsD sent before this moment was written before a kill."""
    return min([kill, *(begin for begin, end in stage.full if begin < kill < end + WRITE_SECONDS)]) - WRITE_SECONDS


def sort_steps(steps: Sequence[StepBack], stage: Stage) -> tuple[list[StepBack], int]:
    """The steps back that are errors, and how many are not.

    Counters of StatsD that cannot be written are exposed all the same: a kill before they are written loses them.
    """
    unwritten = [kill for kill in stage.kills if last_write(stage, kill) < kill - WRITE_SECONDS]
    wrong = [
        one
        for one in steps
        if not (one.series.startswith(OF_STATSD) and any(kill < one.at < kill + 60 for kill in unwritten))
    ]
    return wrong, len(steps) - len(wrong)


def gather_dags(folder: Path) -> Path:
    """The DAG files of this test and those of the exactness test for what a user does by hand."""
    dags = folder / "dags"
    dags.mkdir()
    for path in (HERE / "dags" / "busy.py", *(exactness.HERE / "dags" / name for name in SHARED_DAGS)):
        shutil.copy(path, dags)
    return dags
