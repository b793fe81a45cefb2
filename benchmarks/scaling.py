"""What one exporter costs at growing sizes of a simulated Airflow: python -m benchmarks.scaling [--smoke]

Each size runs against a simulated API in another process, with a real exporter process that polls it every 30 seconds.
CPU is the exporter's own. A poll reads every active task instance, and all tries that ended since the poll before and
in the two minutes before that. Samples are what Prometheus takes in at a scrape every 30 seconds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.simulated_api import Size
from benchmarks.subject import ROOT, Exporter

SIZES = (
    Size(100, 10, 60),
    Size(1_000, 100, 600),
    Size(2_000, 200, 1_200),
    Size(5_000, 500, 3_000),
    Size(10_000, 1_000, 6_000),
)
SMALL = (Size(50, 5, 600),)
INTERVAL = 30.0
SCRAPES = 3
HEADS = (
    *("DAGs", "workers", "tries a minute", "lines", "samples/s", "CPU a poll, s", "of a core"),
    *("CPU a scrape, ms", "scrape, MB", "memory, MB", "series over a cap"),
)


class Result(NamedTuple):
    """What was measured of one size."""

    size: Size
    lines: int
    poll_cpu: float
    scrape_cpu: float
    scrape_bytes: int
    memory: int
    capped: int
    interval: float

    def format(self) -> str:
        """A row of the table."""
        cells = [*self.size, self.lines, round(self.lines / INTERVAL)]
        figures = [f"{cell:,}" for cell in cells]
        figures += [f"{self.poll_cpu:.2f}", f"{self.poll_cpu / INTERVAL:.1%}", f"{self.scrape_cpu * 1000:.0f}"]
        figures += [f"{self.scrape_bytes / 1e6:.1f}", f"{self.memory / 1e6:.0f}", f"{self.capped:,}"]
        return "| " + " | ".join(figures) + " |"


@contextmanager
def simulate(size: Size) -> Iterator[str]:
    """The URL of a simulated Airflow of that size."""
    command = [sys.executable, "-m", "benchmarks.simulated_api", *map(str, size)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def measure(size: Size, cycles: int, interval: float, flags: list[str]) -> Result:
    """Run an exporter over some polls after the first ones, then scrape it."""
    with tempfile.TemporaryDirectory() as name, simulate(size) as url:
        folder = Path(name)
        (folder / "logs").mkdir()
        (folder / "password").write_text("secret\n")
        wanted = ["--no-collector.host", "--no-collector.statsd", "--exposition.birth-hold=1s", *flags]
        with Exporter(url, folder / "password", folder, interval, wanted) as exporter:
            process = psutil.Process(exporter.pid)
            wait_for_polls(url, count_polls(url) + 1)
            began, used = count_polls(url), get_cpu(process)
            ended = wait_for_polls(url, began + cycles)
            poll_cpu = (get_cpu(process) - used) / (ended - began)
            used = get_cpu(process)
            texts = [exporter.metrics() for _ in range(SCRAPES)]
            scrape_cpu = (get_cpu(process) - used) / SCRAPES
            if exporter.problems():
                raise RuntimeError("\n".join(exporter.problems()))
            return Result(
                size, sum(not line.startswith("#") for line in texts[-1].splitlines()), poll_cpu, scrape_cpu,
                len(texts[-1]), process.memory_info().rss, count_capped(texts[-1]), interval,
            )  # fmt: skip


def count_polls(url: str) -> int:
    """How often the simulated Airflow was asked for its active task instances."""
    with urllib.request.urlopen(f"{url}/polls", timeout=60) as answer:
        return int(answer.read())


def wait_for_polls(url: str, many: int) -> int:
    """Wait until the poll of that number has begun; returns its number."""
    while (found := count_polls(url)) < many:
        time.sleep(0.2)
    return found


def get_cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def count_capped(text: str) -> int:
    """Series that were refused or folded because a metric reached its cap."""
    lines = [line for line in text.splitlines() if line.startswith("airflow_exporter_series_dropped_total")]
    return int(sum(float(line.rpartition(" ")[2]) for line in lines))


def main() -> int:
    """Measure each size and print its row."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="one small size, one poll: whether it works")
    parser.add_argument("--cycles", type=int, default=3, help="polls that are measured (%(default)d)")
    parser.add_argument("--no-task-labels", action="store_true", help="without the label task_id")
    parser.add_argument("--largest", type=int, default=10_000, help="largest number of DAGs (%(default)d)")
    given = parser.parse_args()
    sizes = SMALL if given.smoke else [size for size in SIZES if size.dags <= given.largest]
    flags = ["--no-task-labels"] if given.no_task_labels else []
    print("| " + " | ".join(HEADS) + " |\n|" + " ---: |" * len(HEADS), flush=True)
    for size in sizes:
        result = measure(size, 1 if given.smoke else given.cycles, 5.0 if given.smoke else INTERVAL, flags)
        print(result.format(), flush=True)
        if result.lines < size.dags:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
