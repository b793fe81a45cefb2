"""How long Prometheus takes for each query of the dashboards: python -m benchmarks.dashboards [--dags 2000]

Synthetic data of an Airflow of that size is written to a new Prometheus: metrics and recorded series, one sample each
30 seconds, as far back as queries read. Then each query runs three times over the default time range of its dashboard.
The exit code is 1 if the median of a query is above one second. The CPU time of the server is printed too, because it
does not depend on other load of the machine.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import promql_parser as ast
import psutil
import requests

from benchmarks.history import AIRFLOW, CHOSEN_DAG, CHOSEN_TASK, HOUR, Kept, Series, exposed, series_of, write
from tests.contract.promql import Labels, walk
from tests.e2e.exactness.prometheus import Prometheus, find_prometheus
from tests.grafana import boards

GOAL_SECONDS = 1.0
ROUNDS = 3
PIXELS = 800
CONFIG = "global: {scrape_interval: 30s}\n"
RANGES = {"now-6h": 6 * HOUR, "now-24h": 24 * HOUR}
STEPS = {"1m": 60, "5m": 300}
OF_PROMETHEUS = {"up", "ALERTS", "ALERTS_FOR_STATE", "scrape_duration_seconds"}


class Question(NamedTuple):
    """A query as Grafana sends it."""

    where: str
    expression: str
    seconds: int
    step: int
    instant: bool


def questions() -> Iterator[Question]:
    """Yield every query of every panel, with the default time range of its dashboard."""
    for panel in boards.panels():
        seconds = RANGES[boards.BOARDS[panel.board]["time"]["from"]]
        step = max(STEPS.get(panel.json.get("interval", ""), 30), -(-seconds // PIXELS // 30) * 30)
        boards.VALUES.update(values(seconds, step))
        for target in panel.targets:
            expression = boards.substitute(target["expr"])
            yield Question(f"{panel} {target['refId']}", expression, seconds, step, target["instant"])


def values(seconds: int, step: int) -> dict[str, str]:
    """The values that Grafana puts in place of variables."""
    return {
        "airflow": AIRFLOW,
        "dag_id": CHOSEN_DAG,
        "task_id": CHOSEN_TASK,
        "owner": ".*",
        "tag": ".*",
        "fleet": ".*",
        "pool": ".*",
        "component": ".*",
        "worker": ".*",
        "__rate_interval": f"{max(step + 30, 120)}s",
        "__range": f"{seconds}s",
        "__range_s": str(seconds),
    }


def needed(expressions: Iterable[str]) -> Iterator[tuple[Kept, bool]]:
    """Yield every metric that a query reads, and whether it is a recorded series."""
    labels = Labels()
    wide: dict[str, bool] = {}
    for expression in expressions:
        for node in walk(ast.parse(expression)):
            if isinstance(node, ast.VectorSelector) and node.name and node.name not in OF_PROMETHEUS:
                one = f'dag_id="{CHOSEN_DAG}"' in node.prettify()
                wide[node.name] = wide.get(node.name, False) or not one
    for name, by_all in sorted(wide.items()):
        kept = exposed(name)
        found = kept or Kept(name, tuple(sorted(labels.series(name))), grows=False)
        yield found._replace(only_one=not by_all), kept is None


def invent(expressions: Iterable[str], dags: int, tasks: int) -> list[Series]:
    """The series of an Airflow of that size that these queries read."""
    return [one for kept, recorded in needed(expressions) for one in series_of(kept, dags, tasks, recorded=recorded)]


class Cost(NamedTuple):
    """What a query took, in seconds of wall time and of the server's CPU, and how many series it returned."""

    seconds: float
    cpu: float
    series: int


class Prober:
    """Runs queries in one Prometheus and measures them."""

    def __init__(self, prometheus: Prometheus, now: int) -> None:
        self._url, self._now = f"http://127.0.0.1:{prometheus.port}", now
        self._process = psutil.Process(prometheus.pid)
        self._session = requests.Session()
        self._session.trust_env = False

    def ask(self, question: Question) -> Cost:
        """Run a query once."""
        body: dict[str, Any] = {"query": question.expression}
        if question.instant:
            path, body = "query", {**body, "time": self._now}
        else:
            path = "query_range"
            body |= {"start": self._now - question.seconds, "end": self._now, "step": question.step}
        began, used = time.perf_counter(), self.used()
        reply = self._session.post(f"{self._url}/api/v1/{path}", data=body, timeout=120)
        took, used = time.perf_counter() - began, self.used() - used
        if not reply.ok:
            raise RuntimeError(f"{question.where}: {reply.text[:300]}")
        return Cost(took, used, len(reply.json()["data"]["result"]))

    def used(self) -> float:
        """The CPU seconds of the server since its start."""
        times = self._process.cpu_times()
        return float(times.user + times.system)


def measure(prober: Prober) -> int:
    """Print the most expensive queries and a sum for each dashboard. Returns the exit code."""
    timed = []
    for question in questions():
        rounds = [prober.ask(question) for _ in range(ROUNDS)]
        usual = Cost(median(one.seconds for one in rounds), median(one.cpu for one in rounds), rounds[0].series)
        timed.append((usual, question))
    timed.sort(key=lambda one: -one[0].cpu)
    print("| ms | CPU, ms | series | query |\n| ---: | ---: | ---: | --- |")
    for took, question in timed[:25]:
        print(f"| {took.seconds * 1000:.0f} | {took.cpu * 1000:.0f} | {took.series} | {question.where} |")
    by_board: dict[str, list[Cost]] = {}
    for took, question in timed:
        by_board.setdefault(question.where.split(":")[0], []).append(took)
    print("\n| dashboard | queries | slowest, ms | most expensive, CPU ms | all, CPU ms |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for board, costs in sorted(by_board.items()):
        slowest, costliest = max(one.seconds for one in costs), max(one.cpu for one in costs)
        total = sum(one.cpu for one in costs)
        figures = " | ".join(f"{value * 1000:.0f}" for value in (slowest, costliest, total))
        print(f"| {board} | {len(costs)} | {figures} |")
    print(f"\n{sum(not took.series for took, _ in timed)} of {len(timed)} queries returned no data")
    return int(max(took.seconds for took, _ in timed) > GOAL_SECONDS)


def run(program: str, description: str | None, expressions: Iterable[str], measure: Callable[[Prober], int]) -> int:
    """Write synthetic data for these queries to a new Prometheus, then measure. Returns the exit code."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    parser.add_argument("--dags", type=int, default=2000)
    parser.add_argument("--tasks", type=int, default=10)
    given = parser.parse_args()
    binary = find_prometheus()
    if not binary:
        print("Prometheus is not installed", file=sys.stderr)
        return 1
    folder = Path(tempfile.mkdtemp(prefix="dashboards-"))
    prometheus = Prometheus(binary, folder, CONFIG, "--web.enable-remote-write-receiver")
    try:
        prometheus.wait_ready()
        url = f"http://127.0.0.1:{prometheus.port}"
        series = invent(expressions, given.dags, given.tasks)
        now = int(time.time()) // 30 * 30
        began = time.monotonic()
        written = write(url, series, now)
        print(f"{len(series):,} series, {written:,} samples, written in {time.monotonic() - began:.0f} s\n", flush=True)
        return measure(Prober(prometheus, now))
    finally:
        prometheus.close()
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(run("benchmarks.dashboards", __doc__, (question.expression for question in questions()), measure))
