"""Every counter of a disturbed exporter equals the database of a real Airflow.

    AIRFLOW_VERSIONS="3.3.2 2.11.2" E2E_MINUTES=8 python -m pytest tests/e2e -m e2e -s

Leaves a report for each release in .e2e/ (or $E2E_FOLDER). Needs PostgreSQL's server programs, and for the
PromQL queries a Prometheus in PATH or $PROMETHEUS_BIN.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from demo.environment import release
from tests.e2e.exactness import comparison, events, gauges, limits, promql
from tests.e2e.exactness.audit import Cell, first_starts
from tests.e2e.exactness.comparison import MAX_CLOSED_SHARE, Difference, Verdict
from tests.e2e.exactness.environment import (
    PARALLELISM,
    Environment,
    keep,
    start_environment,
    wait_polls,
    wait_until_quiet,
)
from tests.e2e.exactness.gauges import Check
from tests.e2e.exactness.subject import Exposition

VERSIONS = os.environ.get("AIRFLOW_VERSIONS", "3.3.2 2.11.2").split()
MINUTES = float(os.environ.get("E2E_MINUTES", "8"))
FOLDER = Path(os.environ.get("E2E_FOLDER", ".e2e"))
TOLERANCE = float(os.environ.get("E2E_TOLERANCE", "0"))
"""The share of compared values that may differ: 0, except for short runs on machines that stall."""
FULL_MINUTES = 8.0
"""In a shorter run the same disturbances meet fewer tries."""
CLEARED_WHILE_RUNNING = 4
"""How many running tries events.py clears. Airflow 3.0 and 3.1 show that only while a task instance is `restarting`."""
HEAD_START = min(40.0, MINUTES * 8.0)
"""Seconds of history that the exporter, started afterwards, must not count."""
MAX_LATE_SECONDS = 120.0
"""How many seconds after Airflow is quiet something may still be counted: unchanged runs are listed less and less
often."""


def say(message: str) -> None:
    """Progress, past pytest's capture."""
    print(message, file=sys.__stderr__, flush=True)


class RunResult(NamedTuple):
    """The result of one run."""

    version: str
    log: Sequence[events.Disturbance]
    tries: dict[str, int]
    exposition: Exposition
    differences: Sequence[Difference]
    checks: Sequence[Check]
    answers: Sequence[promql.QueryResult] | None
    late: float
    """After how many quiet seconds everything was counted."""

    @property
    def try_count(self) -> int:
        return sum(self.tries.values())

    def of(self, *verdicts: Verdict) -> list[Difference]:
        return [one for one in self.differences if one.verdict in verdicts]

    def problems(self) -> list[str]:
        """Every difference that is not allowed."""
        found = [str(one) for one in self.of(Verdict.WRONG)]
        found += [f"gauge: {one}" for one in self.checks if not one.right][:50]
        found += [f"PromQL: {one}" for one in self.answers or () if not one.right]
        closed = comparison.closed_tries(self.differences)
        unseen = CLEARED_WHILE_RUNNING if (3,) <= release(self.version) < (3, 2) else 0
        if closed > unseen + max(self.try_count * MAX_CLOSED_SHARE, 0 if MINUTES >= FULL_MINUTES else 1):
            found.append(f"the closed list has {closed:g} of {self.try_count} tries")
        return found

    @property
    def compared(self) -> int:
        """How many cells, gauges and query results were compared."""
        return len(self.differences) + len(self.checks) + len(self.answers or ())

    def report(self) -> list[str]:
        """The lines of the report."""
        unaccounted = {
            key.label("reason"): value for key, value in self.exposition.items() if "unaccounted" in key.name
        }
        exact = sum(one.least == one.most for one in self.checks)
        asked = "NOT RUN: no Prometheus found" if self.answers is None else f"{len(self.answers)} results compared"
        return [
            f"Airflow {self.version}: {self.try_count} tries {self.tries}",
            *(f"  {event}" for event in self.log),
            "",
            *comparison.table(self.differences),
            "",
            f"closed list: {comparison.closed_tries(self.differences):g} tries; counted as unaccounted: {unaccounted}",
            *(f"  {one}" for one in self.of(Verdict.CLOSED, Verdict.EDGE)),
            f"everything was counted {self.late:.0f} s after two quiet polls",
            f"gauges: {len(self.checks)} compared, {exact} of them without a change during the poll",
            f"PromQL: {asked}",
            "",
            *(["PROBLEMS", *self.problems()] if self.problems() else ["no problems"]),
        ]


@pytest.mark.e2e
@pytest.mark.parametrize("version", VERSIONS)
def test_counters_equal_the_database(version: str) -> None:
    folder = (FOLDER / version).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with start_environment(version, folder, say) as environment:
        result = run(version, environment, folder)
    report = "\n".join(result.report())
    (FOLDER / f"report-{version}.txt").write_text(report + "\n", encoding="utf-8")
    say(report)
    problems = result.problems()
    if problems and len(problems) <= TOLERANCE * result.compared:
        say(f"TOLERATED: {len(problems)} of {result.compared} differ, see PROBLEMS above")
        return
    assert not problems


def run(version: str, environment: Environment, folder: Path) -> RunResult:
    """Let Airflow work, disturb it, wait until it is quiet, compare."""
    subject = environment.context.subject
    environment.context.console.pause_all(False)
    say(f"Airflow {version} runs its DAGs; the exporter starts in {HEAD_START:.0f} s and runs {MINUTES:g} minutes")
    time.sleep(HEAD_START)
    began = time.time()
    subject.start()
    subject.wait_ready()
    environment.sampler.start()
    log = events.play(environment.context, MINUTES * 60, say)
    wait_polls(
        environment, wait_until_quiet(environment.context.console, environment.context.database, environment.audit, say)
    )
    environment.sampler.close()
    rest = environment.sampler.take()
    exposition = subject.scrape()
    walks = environment.walks()
    starts = first_starts(environment.context.proxy.exchanges(), walks, subject.log_lines())
    cells = environment.audit.judge(starts, walks, exposition)
    exposition, late = wait_counted(environment, cells, exposition)
    keep(folder, cells, exposition, environment)
    answers = (
        promql.ask(environment.prometheus, exposition, time.time() - began + 10) if environment.prometheus else None
    )
    samples = [*environment.sampler.samples, *([rest] if rest else [])]
    return RunResult(
        version,
        log,
        environment.audit.tries(),
        exposition,
        comparison.compare(cells, exposition),
        [*gauges.check(samples, environment.context.database), *check_limits(environment, exposition)],
        answers,
        late,
    )


def wait_counted(environment: Environment, cells: Sequence[Cell], exposition: Exposition) -> tuple[Exposition, float]:
    """The first exposition without a wrong cell, else the last one, and after how many seconds it was scraped."""
    began = time.monotonic()
    late = 0.0
    while (
        any(one.verdict is Verdict.WRONG for one in comparison.compare(cells, exposition)) and late < MAX_LATE_SECONDS
    ):
        time.sleep(5)
        exposition = environment.context.subject.scrape()
        late = time.monotonic() - began
    return exposition, late


def check_limits(environment: Environment, exposition: Exposition) -> list[Check]:
    """Compare limits and other gauges that seldom change."""
    is_3 = environment.context.console.is_3
    return limits.check(environment.context.database, exposition, is_3=is_3, parallelism=PARALLELISM, at=time.time())
