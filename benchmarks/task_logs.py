"""What reading the logs of failed tries costs a real Airflow and the exporter, at 1, 10 and 100 failures a minute.

    python -m benchmarks.task_logs                     Airflow 3.3.2, a quarter of an hour
    python -m benchmarks.task_logs --version 2.11.2    Airflow 2.11.2
    python -m benchmarks.task_logs --smoke             one rate, seconds: does it work at all

One task really runs and fails. Its run, its row and its log are then copied, as often as failures are wanted, so that
only the API server and the exporter use CPU. Each rate is measured without reading logs, then with it.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cpu import measure_tree
from benchmarks.seed import Database
from benchmarks.subject import Exporter
from demo.airflow import Airflow
from demo.parts import API_SERVER

HERE = Path(__file__).resolve().parent
DAG_ID, TASK_ID = "bench_fails", "load"
RATES = (1.0, 10.0, 100.0)
"""Failed tries a minute."""
INTERVAL = 15.0
"""Of the exporter, in seconds."""
WARM_UP = 30.0
PATIENCE = 300.0
MAX_API_MS, MAX_EXPORTER_MS = 50.0, 10.0
"""Goals: CPU milliseconds that one failed try costs more if its log is read."""
MIN_LOGS = 5
"""Logs that a statement about one of them needs."""
PORT = 21_520
FAILED_BY_ITSELF = f"SELECT run_id FROM task_instance WHERE dag_id = '{DAG_ID}' AND state = 'failed' AND hostname <> ''"
"""A try that ran: the first one may be given up, where a busy API server needs too long to answer its first request."""
COPY = """
INSERT INTO dag_run SELECT (jsonb_populate_record(d, jsonb_build_object('id', nextval(pg_get_serial_sequence('dag_run',
  'id')), 'run_id', new.run, 'logical_date', now() + new.place * interval '1 ms', 'execution_date',
  now() + new.place * interval '1 ms', 'run_after', now(), 'queued_at', now(), 'start_date', now(), 'end_date', now(),
  'updated_at', now()))).*
FROM dag_run d, unnest(string_to_array(:'runs', ',')) WITH ORDINALITY AS new(run, place)
WHERE d.dag_id = :'dag' AND d.run_id = :'origin';
INSERT INTO task_instance SELECT (jsonb_populate_record(t, jsonb_build_object('id', gen_random_uuid(), 'run_id',
  new.run, 'start_date', now(), 'end_date', now(), 'updated_at', now()))).*
FROM task_instance t, unnest(string_to_array(:'runs', ',')) AS new(run)
WHERE t.dag_id = :'dag' AND t.run_id = :'origin';
"""
"""Copies of the run and its task instance, as if they had ended now. Columns that a release lacks do not matter."""


@dataclass(frozen=True)
class Window:
    """What one stretch of time cost."""

    seconds: float
    failures: int
    api: float
    """CPU seconds of the API server."""
    exporter: float
    """CPU seconds of the exporter."""
    read: float = 0.0
    """Logs that were read, of those the exporter was to read."""
    not_read: float = 0.0
    """Failed tries that were given up unread."""
    classified: float = 0.0
    """Failed tries that have a class at the end."""


class Failures:
    """Copies of one failed try."""

    def __init__(self, airflow: Airflow) -> None:
        self._database = Database(airflow)
        self._logs = airflow.folder.home / "logs" / f"dag_id={DAG_ID}"
        self._origin = str(airflow.query(FAILED_BY_ITSELF)[0]["run_id"])
        self._number = int(time.time())

    def add(self, count: int) -> None:
        """Further failed tries that ended now, with their logs."""
        runs = [f"bench_{self._number + place}" for place in range(count)]
        self._number += count
        for run in runs:
            shutil.copytree(self._logs / f"run_id={self._origin}", self._logs / f"run_id={run}")
        self._database.run(COPY, {"runs": ",".join(runs), "origin": self._origin, "dag": DAG_ID})

    def go_on(self, rate: float, seconds: float) -> int:
        """Add failures at an even pace for a while; returns how many."""
        began, count = time.monotonic(), 0
        while (now := time.monotonic() - began) < seconds:
            due = int(now * rate / 60) + 1 - count
            if due > 0:
                self.add(due)
                count += due
            time.sleep(1.0)
        return count


def prepare(airflow: Airflow) -> Failures:
    """Let the task fail once; after that only the API server runs."""
    airflow.up()
    end = time.monotonic() + PATIENCE
    while not airflow.query(FAILED_BY_ITSELF):
        if time.monotonic() > end:
            raise RuntimeError(f"the task did not run: see {airflow.folder.logs}")
        if not airflow.query(f"SELECT run_id FROM dag_run WHERE dag_id = '{DAG_ID}' AND state <> 'failed'"):
            airflow.cli("dags", "trigger", DAG_ID)
        time.sleep(1)
    airflow.stop(*(part for part in airflow.parts if part != API_SERVER))
    return Failures(airflow)


def measure(airflow: Airflow, failures: Failures, rate: float, seconds: float, *, reads: bool) -> Window:
    """One stretch of time at one rate."""
    flags = ("--exposition.birth-hold=1s", "--airflow.read-logs" if reads else "--no-airflow.read-logs")
    with Exporter(airflow.url, airflow.password_file, airflow.folder.path, INTERVAL, flags) as exporter:
        api = airflow.processes.pid(API_SERVER) or 0
        time.sleep(min(WARM_UP, seconds))
        before = measure_tree(api), measure_tree(exporter.pid)
        began = time.monotonic()
        count = failures.go_on(rate, seconds)
        time.sleep(2 * INTERVAL)
        used = measure_tree(api) - before[0], measure_tree(exporter.pid) - before[1]
        lasted = time.monotonic() - began
        exporter.metrics()  # new series are zero until a reading that follows the first scrape
        time.sleep(INTERVAL + 2)
        text = exporter.metrics()
        return Window(
            lasted,
            count,
            *used,
            add_up(text, r'airflow_task_logs_read_total\{outcome="read"\}'),
            add_up(text, r'airflow_task_logs_read_total\{outcome="(?!read)\w+"\}'),
            add_up(text, r"airflow_task_tries_failed_by_class_total\{[^}]*\}"),
        )


def add_up(text: str, pattern: str) -> float:
    """The sum of the series that match."""
    return sum(float(value) for value in re.findall(rf"^{pattern} (\S+)$", text, re.MULTILINE))


def render(found: Sequence[tuple[float, Window, Window]]) -> Iterator[str]:
    """The table: a row for each rate."""
    yield "| failures a minute | failed | read | API server, of a CPU | exporter, of a CPU | a log: API, exporter |"
    yield "| ---: | ---: | ---: | --- | --- | --- |"
    for rate, without, reading in found:
        api = f"{without.api / without.seconds:.1%} → {reading.api / reading.seconds:.1%}"
        exporter = f"{without.exporter / without.seconds:.1%} → {reading.exporter / reading.seconds:.1%}"
        each = "{:.0f} ms, {:.0f} ms".format(*(1_000 * cost for cost in get_costs(without, reading)))
        each = each if reading.read >= MIN_LOGS else "too few to say"
        yield f"| {rate:g} | {reading.failures} | {reading.read:.0f} | {api} | {exporter} | {each} |"


def get_costs(without: Window, reading: Window) -> tuple[float, float]:
    """CPU seconds that each log cost the API server and the exporter."""
    share = reading.seconds / without.seconds
    count = max(1.0, reading.read)
    return (reading.api - without.api * share) / count, (reading.exporter - without.exporter * share) / count


def list_missed(found: Sequence[tuple[float, Window, Window]]) -> Iterator[str]:
    """The goals that were missed. What a log costs is judged at the highest rate, where chance matters least."""
    for rate, _, reading in found:
        if reading.not_read or reading.classified < reading.failures:
            yield f"at {rate:g} a minute {reading.failures - reading.read:.0f} of {reading.failures} logs were not read"
    api, exporter = get_costs(*found[-1][1:])
    if 1_000 * api > MAX_API_MS:
        yield f"a log costs the API server more than {MAX_API_MS:.0f} ms of CPU"
    if 1_000 * exporter > MAX_EXPORTER_MS:
        yield f"a log costs the exporter more than {MAX_EXPORTER_MS:.0f} ms of CPU"


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code is 1 if a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.task_logs", description=__doc__)
    parser.add_argument("--version", default="3.3.2")
    parser.add_argument("--seconds", type=float, default=90.0, help="of each of the six stretches")
    parser.add_argument("--workdir", type=Path, default=Path(".bench/task_logs"))
    parser.add_argument("--smoke", action="store_true", help="one rate for some seconds; no goals")
    given = parser.parse_args(words)
    rates, seconds = ((60.0,), 10.0) if given.smoke else (RATES, given.seconds)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # servers are to be stopped then, too
    airflow = Airflow(given.version, given.workdir, database="postgres", dags=HERE / "failing", pools={}, port=PORT)
    try:
        failures = prepare(airflow)
        found = []
        for rate in rates:
            windows = [measure(airflow, failures, rate, seconds, reads=reads) for reads in (False, True)]
            found.append((rate, windows[0], windows[1]))
            print(*list(render(found))[-1:], sep="\n", file=sys.stderr, flush=True)
    finally:
        airflow.down(remove=True)
    print(f"Airflow {given.version}, {seconds:.0f} s each", *render(found), sep="\n")
    if given.smoke:
        return int(found[0][2].read == 0)
    missed = list(list_missed(found))
    print(*missed or ["all goals are met"], sep="\n")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
