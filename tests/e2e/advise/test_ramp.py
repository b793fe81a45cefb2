"""A real Airflow whose parallelism is ramped: what it got done at each level, beside the advice; and a larger pool.

    RAMP_LEVELS="1 2 4 8 16" RAMP_SECONDS=70 python -m pytest tests/e2e/advise/test_ramp.py -m e2e -s

At each level of `[core] parallelism` the scheduler is started again, and more tasks are kept waiting than may run. The
measured knee is where throughput, between the levels on a straight line, reaches nine tenths of the highest; where it
still rises at the highest level the knee lies above that, and the advice must not be fewer. The advice comes from the
command, from series in a real Prometheus, evaluated by the shipped rules (time is stretched for that: stretched.py).
Needs a machine that does nothing else; a shortened ramp prints its tables and judges nothing.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import pytest

from demo.airflow import Airflow
from demo.preparation import Pool
from exporter.tuning.query import STEP
from tests.e2e.advise.history import backfill, serve
from tests.e2e.advise.stretched import StretchedRecorder, StretchedTime, stretch_events
from tests.e2e.exactness.console import Console
from tests.e2e.exactness.prometheus import find_prometheus
from tests.e2e.exactness.subject import Subject

pytestmark = pytest.mark.e2e

FOLDER = Path(os.environ.get("E2E_FOLDER", ".e2e")).resolve() / "ramp"
DAGS = Path(__file__).parent / "dags"
LEVELS = [int(level) for level in os.environ.get("RAMP_LEVELS", "1 2 4 8 16").split()]
SECONDS = float(os.environ.get("RAMP_SECONDS", "70"))
"""Of each level but the first, which takes twice as long: it shows what a task takes while little else runs."""
POOL_RUNS = int(os.environ.get("RAMP_POOL_RUNS", "16"))
"""Runs in the pool with two slots, and as many with three."""
JUDGED = len(LEVELS) >= 5 and SECONDS >= 60
FACTOR = 18.0
BEGIN = 1_767_225_600.0
BATCH = 8
SCRAPE_SECONDS = 1.5
POOL_INTERVAL = 13.0
"""Seconds between runs: two slots need longer for one, three do not."""
SETTLE_SECONDS = 3.0
"""Left out at the beginning of a level."""
ENOUGH = 0.9
TOLERANCE = 0.25
DRAIN_SECONDS = 300.0
MOST_CHANGE, MIN_CHANGE = 1.5, 1.0
"""If starts or sleeps take longer than that many times what they took before, and by more seconds, the machine did."""


class Level(NamedTuple):
    """What a level of parallelism got done."""

    parallelism: int
    per_second: float
    """Tasks that ended."""
    mean_seconds: float
    """From their start to their end."""


class PoolTries(NamedTuple):
    """The tries of some runs in the pool."""

    waits: list[float]
    """From ready to the start."""
    starts: list[float]
    """From queued to the start: the LocalExecutor has free slots all the time."""
    runs: list[float]
    """From the start to the end."""

    def describe(self) -> str:
        """In means."""
        return f"wait {mean(self.waits):.1f} s, start {mean(self.starts):.1f} s, run {mean(self.runs):.1f} s"

    def is_alike(self, other: PoolTries) -> bool:
        """Whether the machine was as busy with other things: starts and sleeps took about as long."""
        return all(
            max(one, two) <= MOST_CHANGE * min(one, two) or abs(one - two) < MIN_CHANGE
            for one, two in ((mean(self.starts), mean(other.starts)), (mean(self.runs), mean(other.runs)))
        )


class Ramp:
    """One Airflow, with the exporter beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.airflow = Airflow(
            "3.3.2", folder / "airflow", database="postgres", dags=DAGS, pools={"ramp": Pool(2)}, port=18191
        )
        self.console = Console(self.airflow)
        self.events = folder / "events.jsonl"
        self.events.unlink(missing_ok=True)
        self.subject: Subject | None = None
        self.triggered = 0
        """Tasks of runs that were triggered."""

    def start(self) -> None:
        """Airflow and the exporter."""
        self.airflow.settings["AIRFLOW__CORE__PARALLELISM"] = str(LEVELS[-1])
        self.airflow.up()
        self.subject = Subject(
            self.folder / "exporter",
            [
                f"--airflow.url={self.airflow.url}",
                "--airflow.username=admin",
                f"--airflow.password-file={self.airflow.password_file}",
                "--airflow.interval=2s",
                "--collector.host",
                "--host.interval=2s",
                "--no-collector.statsd",
                f"--events.file={self.events}",
            ],
        )
        self.subject.start()
        self.subject.wait_ready()
        wait_until(lambda: {"ramp_cpu", "ramp_io", "ramp_pool"} <= self.console.dag_ids(), 120)
        self.console.pause_all(paused=False)

    def stop(self) -> None:
        """Both."""
        if self.subject is not None:
            self.subject.stop()
        self.console.close()
        self.airflow.down()

    def set_parallelism(self, value: int) -> None:
        """Start again who reads the setting: the scheduler, the API server, and the exporter that asks it."""
        assert self.subject is not None
        self.subject.stop()
        for part in ("scheduler", "api-server"):
            self.airflow.stop(part)
        self.airflow.settings["AIRFLOW__CORE__PARALLELISM"] = str(value)
        for part in ("api-server", "scheduler"):
            self.airflow.start(part)
        self.subject.start()
        self.subject.wait_ready()

    def count(self, dag_id: str) -> Counter[str]:
        """Task instances of a DAG by state."""
        sql = f"select state, count(*) as n from task_instance where dag_id = '{dag_id}' group by state"
        return Counter({str(row["state"]): int(row["n"]) for row in self.airflow.query(sql)})

    def watch(self, recorder: StretchedRecorder, seconds: float, act: Callable[[int], None]) -> None:
        """Scrape for some time; `act` gets the number of tries that have ended after each scrape."""
        assert self.subject is not None
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            begun, now = time.monotonic(), time.time()
            scrape = self.subject.scrape()
            recorder.record(now, scrape)
            act(round(sum(value for series, value in scrape.items() if series.name == "airflow_task_tries_total")))
            time.sleep(max(0.0, SCRAPE_SECONDS - (time.monotonic() - begun)))

    def drain(self, recorder: StretchedRecorder, dag_id: str) -> None:
        """Until nothing runs or waits."""
        end = time.monotonic() + DRAIN_SECONDS
        while any(self.count(dag_id)[state] for state in ("None", "scheduled", "queued", "running")):
            assert time.monotonic() < end, f"{dag_id} does not come to its end: {self.count(dag_id)}"
            self.watch(recorder, 3 * SCRAPE_SECONDS, lambda _ended: None)

    def run_level(self, dag_id: str, parallelism: int, seconds: float, recorder: StretchedRecorder) -> Level:
        """Keep more tasks waiting than may run, for some time."""
        self.set_parallelism(parallelism)

        def feed(ended: int) -> None:
            # By what was triggered: a busy exporter's reading of what waits is old, and too much would be triggered.
            if self.triggered - ended < 3 * parallelism + BATCH:
                self.console.trigger(dag_id)
                self.triggered += BATCH

        begun = time.time() + SETTLE_SECONDS
        self.watch(recorder, seconds, feed)
        ended = time.time()
        self.drain(recorder, dag_id)
        return self.measure(dag_id, parallelism, begun, ended)

    def measure(self, dag_id: str, parallelism: int, begun: float, ended: float) -> Level:
        """From Airflow's own table."""
        [row] = self.airflow.query(
            "select count(*) as n, coalesce(avg(extract(epoch from end_date - start_date)), 0) as mean "
            f"from task_instance where dag_id = '{dag_id}' and state = 'success' "
            f"and extract(epoch from end_date) between {begun} and {ended}"
        )
        return Level(parallelism, int(row["n"]) / (ended - begun), float(row["mean"]))


def wait_until(holds: Callable[[], bool], seconds: float) -> None:
    """Wait. Raises AssertionError."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it does not come"
        time.sleep(1)


def find_knee(levels: Sequence[Level]) -> float:
    """The lowest parallelism with nine tenths of the highest throughput, on straight lines between the levels."""
    wanted = ENOUGH * max(level.per_second for level in levels)
    if levels[0].per_second >= wanted:
        return levels[0].parallelism
    for low, high in pairwise(levels):
        if high.per_second >= wanted:
            share = (wanted - low.per_second) / (high.per_second - low.per_second)
            return low.parallelism + share * (high.parallelism - low.parallelism)
    raise AssertionError("no level has the highest throughput")


def is_rising(levels: Sequence[Level]) -> bool:
    """Whether more is done at the highest level than at the one below it, so that the knee was not reached."""
    return levels[-2].per_second < ENOUGH * levels[-1].per_second


def call_advise(port: int, times: StretchedTime, ended: float, *more: str) -> dict[str, Any]:
    """What the command prints of the time up to `ended`."""
    end = math.ceil(times.map(ended) / STEP) * STEP
    command = [
        *(sys.executable, "-m", "exporter", "advise", f"--prometheus.url=http://127.0.0.1:{port}"),
        *(f"--window={max(3600.0, end - times.at):.0f}s", f"--end={end:.0f}", "--format=json", *more),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def ramp() -> Iterator[Ramp]:
    if find_prometheus() is None or shutil.which("promtool") is None:
        pytest.skip("needs prometheus and promtool in PATH")
    found = Ramp(FOLDER)
    try:
        found.start()
        yield found
    finally:
        found.stop()


def ask(ramp: Ramp, recorder: StretchedRecorder, times: StretchedTime, *more: str) -> dict[str, Any]:
    """Write what was recorded into a Prometheus, evaluate the rules, and ask for advice."""
    ended = time.time()
    folder = ramp.folder / "prometheus"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    program, promtool = find_prometheus(), shutil.which("promtool")
    assert program
    assert promtool
    samples = folder / "samples.om"
    with samples.open("w", encoding="utf-8") as file:
        recorder.write(file)
    backfill(program, promtool, folder, samples, times.at, times.map(ended))
    with serve(program, folder) as server:
        return call_advise(server.port, times, ended, *more)


@pytest.mark.parametrize("dag_id", ["ramp_cpu", "ramp_io"])
def test_the_advice_is_near_the_measured_knee(ramp: Ramp, dag_id: str) -> None:
    times = StretchedTime(time.time(), BEGIN, FACTOR)
    recorder = StretchedRecorder(times, airflow="ramp", instance="exporter:10112", job="airflow")
    levels = [
        ramp.run_level(dag_id, level, SECONDS * (1 if place else 2), recorder) for place, level in enumerate(LEVELS)
    ]
    report = ask(ramp, recorder, times)
    [answer] = [one for one in report["answers"] if one["question"] == "parallelism"]
    advised = [float(one["value"]) for one in answer["recommendations"]] or [float(LEVELS[-1])]
    knee = find_knee(levels)
    print(f"\n{dag_id}\nparallelism  tasks/s  seconds of a task")
    for level in levels:
        print(f"{level.parallelism:11} {level.per_second:8.2f} {level.mean_seconds:18.1f}")
    said = "; ".join(one["title"] for one in answer["recommendations"]) or answer["nothing"]
    rising = is_rising(levels)
    print(f"measured knee {'above ' if rising else ''}{knee:.1f}, advice {advised[0]:.0f}: {said}")
    print(f"missing: {answer['missing']}")
    skip_unless_judged()
    if rising:
        assert advised[0] >= (1 - TOLERANCE) * knee
    else:
        assert abs(advised[0] / knee - 1) <= TOLERANCE or abs(advised[0] - knee) <= 1


def test_what_if_says_what_a_larger_pool_then_does(ramp: Ramp) -> None:
    """The waits with two slots and with three, and what was predicted from the time with two."""
    ramp.set_parallelism(32)
    times = StretchedTime(time.time(), BEGIN, 1.0)  # A scheduler that looks every 18 s would be none.
    recorder = StretchedRecorder(times, airflow="ramp", instance="exporter:10112", job="airflow")
    before = run_in_pool(ramp, recorder)
    wait_until(lambda: count_lines(ramp.events) >= len(before.waits), 120)
    copy = ramp.folder / "stretched.jsonl"
    with ramp.events.open(encoding="utf-8") as file:
        copy.write_text("\n".join(stretch_events(file, times)) + "\n", encoding="utf-8")
    report = ask(ramp, recorder, times, "--what-if=pool:ramp=3", f"--events.file={copy}")
    ramp.airflow.cli("pools", "set", "ramp", "3", "")
    after = run_in_pool(ramp, recorder)
    print(f"\nin the pool with 2 slots: {before.describe()}\nwith 3: {after.describe()}")
    if not before.is_alike(after):
        pytest.skip(
            "the machine did other things during one half: starts or sleeps took longer, so nothing is compared"
        )
    assert not report["refusal"], report["refusal"]
    [scope] = [one for one in report["scopes"] if "ramp" in one["name"]]
    predicted, full = scope["changed"]["mean_seconds"], scope["changed_if_full"]
    print(f"predicted: {predicted:.1f} s; how tries slow each other down: {report['slowdown'] or 'not seen'}")
    if full:
        print(f"predicted if the machine were full: {full['mean_seconds']:.1f} s")
    skip_unless_judged()
    assert predicted < mean(before.waits)
    assert abs(predicted - mean(after.waits)) <= max(0.35 * mean(after.waits), 1.5)


def skip_unless_judged() -> None:
    """A shortened ramp prints its figures, and has not passed."""
    if not JUDGED:
        pytest.skip("the ramp is shortened: its figures are not judged")


def run_in_pool(ramp: Ramp, recorder: StretchedRecorder) -> PoolTries:
    """Runs that come faster than two slots get them done; what became of each task."""
    started: list[str] = []

    def feed(_ended: int) -> None:
        if len(started) < POOL_RUNS and time.monotonic() >= begun + len(started) * POOL_INTERVAL:
            started.append(ramp.console.trigger("ramp_pool"))
            ramp.triggered += BATCH

    begun, now = time.monotonic(), time.time()
    while len(started) < POOL_RUNS:
        ramp.watch(recorder, 5, feed)
    ramp.drain(recorder, "ramp_pool")
    ramp.watch(recorder, 10, lambda _ended: None)
    rows = ramp.airflow.query(
        "select extract(epoch from start_date - scheduled_dttm) as wait, "
        "extract(epoch from start_date - queued_dttm) as start, "
        "extract(epoch from end_date - start_date) as run from task_instance "
        f"where dag_id = 'ramp_pool' and extract(epoch from end_date) > {now} and state = 'success'"
    )
    return PoolTries(*([float(row[name]) for row in rows] for name in ("wait", "start", "run")))


def count_lines(file: Path) -> int:
    """Tries of the pool in the events file."""
    return sum('"ramp_pool"' in line and '"task_try"' in line for line in file.read_text().splitlines())
