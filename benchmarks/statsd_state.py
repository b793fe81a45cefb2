"""What it costs to keep StatsD's counters in a state file: python -m benchmarks.statsd_state [--seconds N]

Two exporters, one with a state file and one without, hold 41,000 series and receive 2,500 lines a second, in turns. The
difference of their CPU time is what keeping costs. Exits with 1 where that is more than 2 % of a CPU.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.statsd import LARGE, SERIES_DAGS, Bench
from benchmarks.statsd_subjects import Subject, read_cpu, read_loss, run_ours, wait_until_drained
from benchmarks.statsd_traffic import send

RATE = 2_500
GOAL = 0.02
"""The part of a CPU that keeping may take."""


def measure(bench: Bench, subject: Subject, seconds: float) -> float:
    """CPU seconds a second while 2,500 lines come in each."""
    path, _ = bench.write("plain")
    before, lost = read_cpu(subject.pid), read_loss(subject)
    sent = send(bench.program, path, subject.udp, RATE, round(RATE * seconds))
    wait_until_drained(subject.udp)
    if read_loss(subject) != lost:
        print("datagrams were lost: the machine is too busy for this measurement")
    return (read_cpu(subject.pid) - before) / sent.seconds


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.statsd_state", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each turn lasts")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--dags", type=int, default=1_000)
    options = parser.parse_args()
    found: dict[str, list[float]] = {"without": [], "with": []}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        bench = Bench(Path(folder), round(options.dags * SERIES_DAGS), options.seconds, ())
        subjects = {
            "without": stack.enter_context(run_ours(LARGE)),
            "with": stack.enter_context(run_ours(LARGE, [f"--state.file={folder}/state.db"])),
        }
        for subject in subjects.values():
            bench.warm(subject)
        for _ in range(options.turns):
            for side, subject in subjects.items():
                found[side].append(measure(bench, subject, options.seconds))
        size = (Path(folder) / "state.db").stat().st_size
    for side, values in found.items():
        print(f"{side} a state file: {', '.join(f'{100 * value:.2f}' for value in values)} % of a CPU")
    cost = median(found["with"]) - median(found["without"])
    print(f"keeping costs {100 * cost:.2f} % of a CPU; the file has {size / 1e6:.1f} MB")
    return 1 if cost > GOAL else 0


if __name__ == "__main__":
    sys.exit(main())
