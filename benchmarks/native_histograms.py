"""Series and bytes of tasks' histograms, classic and native: python -m benchmarks.native_histograms

At 2,000 DAGs of 10 tasks; every task ran 50 times, with log-normal durations and waits around a median of the task.
Classic histograms have the buckets of the families per DAG and queue. A series is what Prometheus stores: a line of
text, or a native histogram. CPU is of one rendering with gzip, of new histograms and of unchanged ones. The longest
slice is how long all other connections of the web server wait while new ones are rendered. Memory is resident, above
what the process had before.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from random import Random

from benchmarks.worker import read_memory
from exporter.metrics.catalogue.api import tasks
from exporter.metrics.family import Family, HistogramForm
from exporter.metrics.reading import Change
from exporter.store.exposition import Format, render
from exporter.store.ledger import Ledger
from exporter.store.store import Store
from exporter.web.compression import compress

FAMILIES = (tasks.TASK_DURATION, tasks.TASK_QUEUED_DURATION, tasks.TASK_SCHEDULED_DURATION)
BUCKETS = (tasks.DURATION_BUCKETS, tasks.WAIT_BUCKETS, tasks.WAIT_BUCKETS)
MEDIANS = (120.0, 5.0, 1.0)
"""Seconds that a task takes, waits in the queue, and waits for a slot."""
SIDES = {
    "classic": (HistogramForm.CLASSIC, Format.TEXT),
    "classic, protobuf": (HistogramForm.CLASSIC, Format.PROTOBUF),
    "native": (HistogramForm.NATIVE, Format.PROTOBUF),
}


def build(form: HistogramForm, dags: int, per_dag: int, tries: int) -> tuple[Store, int]:
    """A store with the histograms of all tasks, and the number of series that Prometheus stores."""
    classic = form is HistogramForm.CLASSIC
    families = [
        replace(family, native_only=False, buckets=bounds, cap=10**9) if classic else replace(family, cap=10**9)
        for family, bounds in zip(FAMILIES, BUCKETS, strict=True)
    ]
    ledger = Ledger(families, birth_hold=0.0, forms={} if classic else dict.fromkeys(families, form))
    store = Store(families)
    for table in ledger.tables.values():
        store.attach(table)
    for dag in range(dags):
        ledger.publish(ledger.stage(invent(families, dag, per_dag, tries)))
    for table in ledger.tables.values():
        for series in table.series:
            series.revealed = True
    count = dags * per_dag
    return store, sum((len(bounds) + 3) * count for bounds in BUCKETS) if classic else len(BUCKETS) * count


def invent(families: list[Family], dag: int, per_dag: int, tries: int) -> Iterator[Change]:
    """Yield the observations of one DAG."""
    random = Random(dag)
    for task in range(per_dag):
        labels = (f"team_{dag % 17}_pipeline_{dag:05d}", f"step_{task}_extract_and_load")
        for family, median in zip(families, MEDIANS, strict=True):
            own = median * random.lognormvariate(0, 1)
            for _ in range(tries):
                yield Change(family, labels, own * random.lognormvariate(0, 0.25))


def measure(side: str, dags: int, per_dag: int, tries: int) -> None:
    """Print one row."""
    form, exposition = SIDES[side]
    build(form, 20, per_dag, 3)
    before = read_memory("VmRSS")
    store, series = build(form, dags, per_dag, tries)
    size = sum(map(len, render(store, exposition)))
    for table in [table for _, tables in store.walk() for table in tables]:
        for one in table.series:
            one.cells = list(one.cells)
            one.rendered_value = None
    spent, slices, packed = [], [], 0
    for _ in range(2):
        times, packed = [time.process_time()], 0
        for chunk in compress(render(store, exposition)):
            packed += len(chunk)
            times.append(time.process_time())
        spent.append((times[-1] - times[0]) * 1000)
        slices.append(max(after - before for before, after in pairwise(times)) * 1000)
    held = (read_memory("VmRSS") - before) / 1e6
    figures = [
        f"{series:,}",
        f"{size / 1e6:.1f}",
        f"{packed / 1e6:.2f}",
        *(f"{each:.0f}" for each in spent),
        f"{slices[0]:.1f}",
        f"{held:.0f}",
    ]
    print("| " + " | ".join([side, *figures]) + " |", flush=True)


def main() -> int:
    """Measure each side in a process of its own, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.native_histograms", description=__doc__)
    parser.add_argument("--dags", type=int, default=2000)
    parser.add_argument("--tasks", type=int, default=10, help="tasks of each DAG")
    parser.add_argument("--tries", type=int, default=50, help="tries of each task")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        measure(options.side, options.dags, options.tasks, options.tries)
        return 0
    print(
        "| form | series | MB | gzip, MB | CPU if all changed, ms | if none did, ms | longest slice, ms | memory, MB |"
    )
    print("| --- |" + " ---: |" * 7, flush=True)
    for side in SIDES:
        command = [sys.executable, "-m", "benchmarks.native_histograms", *sys.argv[1:], "--side", side]
        subprocess.run(command, check=True, env=os.environ)
    return 0


if __name__ == "__main__":
    sys.exit(main())
