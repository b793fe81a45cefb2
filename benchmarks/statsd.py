"""What StatsD data costs, beside statsd_exporter in the same run: python -m benchmarks.statsd [--peer PATH]

A program in C, compiled here, sends the metrics of an Airflow of 1,000 DAGs with 10 tasks each over loopback at an even
pace. CPU is the process's own, for each line that it took. Losses are the kernel's count of its socket, and what the
process itself threw away. For the highest rate without a loss the sender has a CPU of its own, and the process another:
else the sender is what gives way first. Without --peer there is nothing to compare with. Exits with 1 where a goal is
missed.

Each dialect is a part of its own, and so are the `figures` that hold whatever the load: --parts chooses some of them.
--cold measures something else: what a line costs that is new (statsd_cold.py); so do --real: lines of recorded Airflows
at the rates at which they come (statsd_real.py), and --scrapes: scrapes by a real Prometheus (statsd_scrapes.py).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from itertools import product
from pathlib import Path
from typing import NamedTuple

from benchmarks.statsd_cold import DAGS, measure_cold
from benchmarks.statsd_real import measure_real
from benchmarks.statsd_report import Figures, Holding, Result, find_missed, write_figures, write_row
from benchmarks.statsd_scrapes import find_missed_scrapes, measure_scrapes, write_scrapes
from benchmarks.statsd_subjects import (
    MAPPING,
    Loss,
    Scraper,
    Subject,
    count_lines,
    read_cpu,
    read_loss,
    read_memory,
    run_on,
    run_ours,
    run_peer,
    scrape,
    wait_until_drained,
)
from benchmarks.statsd_traffic import SPELLINGS, compile_sender, list_events, send, write_traffic
from exporter.sources.statsd.aggregator import RECOMPILE_INTERVAL

PARTS = (*SPELLINGS, "figures")
RATES = (2_500, 20_000, 100_000)
LARGE = 4 * 1024 * 1024
WARM = 4_000
"""Datagrams a second before anything is measured, so that every series is there."""
CLIMB = (10_000, 20_000, 30_000, 40_000, 60_000, 80_000, 120_000, 160_000, 200_000, 240_000, 320_000, 400_000, 500_000)
"""Datagrams a second, one after the other until some are lost."""
TRIES = 3
CPU, SENDER_CPU = 1, 0
SCRAPES = 10
SERIES_DAGS = 1.242
"""How many times the DAGs have 41,000 series: 26,000 counters and 15,000 histograms, which are 263,000 lines."""
LINES_DAGS = 0.471
"""How many times the DAGs have 100,000 lines."""
Run = Callable[[int, Sequence[str]], AbstractContextManager[Subject]]


class Load(NamedTuple):
    """How datagrams look and how fast they come."""

    dialect: str
    packed: bool
    rate: int
    scraped: bool
    buffer: int

    def __str__(self) -> str:
        words = (
            self.dialect,
            "packed" if self.packed else "single",
            "stock" if not self.buffer else "4 MiB",
            "scraped" if self.scraped else "",
        )
        return f"{self.rate:,}/s, " + ", ".join(filter(None, words))


class Bench:
    """The sender, and everything that is sent, written when it is first sent."""

    def __init__(self, folder: Path, dags: int, seconds: float, climb: Sequence[int]) -> None:
        self.dags = dags
        self.seconds = seconds
        self._climb = climb
        self.folder = folder
        self.program = compile_sender(folder)
        self._traffic: dict[tuple[str, bool, int], tuple[Path, int]] = {}

    def write(self, dialect: str, *, packed: bool = False, dags: int = 0) -> tuple[Path, int]:
        """The file with what so many DAGs send once, and its datagrams."""
        key = dialect, packed, dags or self.dags
        if key not in self._traffic:
            path = self.folder / f"traffic-{'-'.join(map(str, key))}"
            self._traffic[key] = path, write_traffic(path, list_events(key[2]), dialect, packed=packed)
        return self._traffic[key]

    def warm(self, subject: Subject, dialect: str = "plain", dags: int = 0) -> None:
        """Send everything, and again once the exporter has had the time to go by what it learned from the stream."""
        path, count = self.write(dialect, dags=dags)
        for pause in (RECOMPILE_INTERVAL + 2.0, 0.0):
            send(self.program, path, subject.udp, WARM, count)
            wait_until_drained(subject.udp)
            time.sleep(pause)

    def measure(self, subject: Subject, load: Load, seconds: float = 0.0) -> Result:
        """Send for a while, and see what it cost and what was lost."""
        path, _ = self.write(load.dialect, packed=load.packed)
        count = int(load.rate * (seconds or self.seconds))
        lost_before, cpu_before = read_loss(subject), read_cpu(subject.pid)
        with Scraper(subject.web) if load.scraped else nullcontext() as scraper:
            sent = send(self.program, path, subject.udp, load.rate, count)
            wait_until_drained(subject.udp)
        cpu, lost = read_cpu(subject.pid) - cpu_before, share(read_loss(subject), lost_before, sent.datagrams)
        taken = sent.lines * (1 - lost)
        scrapes = scraper.count if scraper else 0
        return Result(sent.datagrams / sent.seconds, 1e6 * cpu / taken if taken else 0.0, lost, scrapes)

    def climb(self, subject: Subject, load: Load) -> int:
        """The highest rate that was reached without a loss; each has TRIES, since others use the machine."""
        best = 0
        for rate in self._climb:
            with run_on(SENDER_CPU):
                tries = (self.measure(subject, load._replace(rate=rate), 2.0) for _ in range(TRIES))
                found = next((one for one in tries if not one.lost), None)
            if found is None:
                break
            best = max(best, round(found.rate))
        return best


def share(now: Loss, before: Loss, sent: int) -> float:
    return (sum(now) - sum(before)) / sent


def measure_loads(
    bench: Bench, sides: dict[str, Run], loads: Sequence[Load]
) -> Iterator[tuple[Load, dict[str, Result]]]:
    """Each load on each side; a process serves all loads of the same dialect and buffer."""
    for kind in dict.fromkeys((load.dialect, load.buffer) for load in loads):
        chosen = [load for load in loads if (load.dialect, load.buffer) == kind]
        results: dict[Load, dict[str, Result]] = {load: {} for load in chosen}
        for side, run in sides.items():
            with run(kind[1], ()) as subject:
                bench.warm(subject, kind[0])
                for load in chosen:
                    results[load][side] = bench.measure(subject, load)
        yield from results.items()


def measure_figures(bench: Bench, run: Run) -> Figures:
    """The rate up to which nothing is lost, without and with scrapes; memory and the cost of a scrape."""
    free, free_scraped, free_large = (
        climb(bench, run, Load("plain", packed=False, rate=0, scraped=scraped, buffer=buffer))
        for buffer, scraped in ((0, False), (0, True), (LARGE, False))
    )
    many, some = (hold(bench, run, round(times * bench.dags)) for times in (SERIES_DAGS, LINES_DAGS))
    return Figures(free, free_scraped, free_large, many, some)


def climb(bench: Bench, run: Run, load: Load) -> int:
    """The highest rate that a process with a CPU of its own takes without a loss."""
    with run_on(CPU), run(load.buffer, ()) as subject:
        bench.warm(subject)
        return bench.climb(subject, load)


def hold(bench: Bench, run: Run, dags: int) -> Holding:
    """What it costs to hold what so many DAGs send: both sides hold the same series, by the same mapping file."""
    with run(LARGE, [f"--statsd.mapping-config={MAPPING}"]) as subject:
        bench.warm(subject, dags=dags)
        lines = count_lines(subject)
        before = read_cpu(subject.pid)
        for _ in range(SCRAPES):
            scrape(subject.web, packed=True)
        cost = 1000 * (read_cpu(subject.pid) - before) / SCRAPES
        return Holding(lines, read_memory(subject.pid), cost)


def list_loads(dialects: Iterable[str], *, quick: bool, rates: Sequence[int]) -> list[Load]:
    packs = (False,) if quick else (False, True)
    return [
        Load(dialect, packed, rate, scraped, LARGE if large else 0)
        for dialect, large, packed, rate, scraped in product(dialects, (False, True), packs, rates, (False, True))
    ]


def read_rates(text: str) -> list[int]:
    """Datagrams a second, with commas between."""
    return [int(one) for one in text.split(",")]


def report_cold(sides: dict[str, Run], dags: int) -> int:
    """Measure what new lines cost, and say which goals were missed."""
    starts = {side: lambda extra, run=run: run(0, extra) for side, run in sides.items()}
    with tempfile.TemporaryDirectory() as folder:
        return report_missed(list(measure_cold(Path(folder), starts, dags)))


def report_real(sides: dict[str, Run], seconds: float, words: Sequence[str]) -> int:
    """Measure real rates, and say which goals were missed."""
    with tempfile.TemporaryDirectory() as folder:
        return report_missed(list(measure_real(Path(folder), sides, seconds, words)))


def report_scrapes(bench: Bench, sides: dict[str, Run], seconds: float) -> int:
    """Measure scrapes by a real Prometheus, and say whether the goal was missed."""
    with ExitStack() as stack:
        mapping = [f"--statsd.mapping-config={MAPPING}"]
        subjects = {side: stack.enter_context(run(LARGE, mapping)) for side, run in sides.items()}
        for subject in subjects.values():
            bench.warm(subject, dags=round(LINES_DAGS * bench.dags))
        found = measure_scrapes(bench.folder, subjects, seconds)
    print("\n".join(write_scrapes(found)))
    return report_missed(list(find_missed_scrapes(found)))


def report_missed(missed: Sequence[str]) -> int:
    """Print the goals that were missed; returns the exit code."""
    print("\nEvery goal is met." if not missed else "\nMissed:\n" + "\n".join(missed))
    return 1 if missed else 0


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.statsd", description=__doc__)
    parser.add_argument("--peer", type=Path, help="a statsd_exporter to compare with")
    parser.add_argument("--peer-argument", action="append", default=[], help="a further argument for it")
    parser.add_argument("--ours", action="append", default=[], help="a further argument for the exporter")
    parser.add_argument("--rates", type=read_rates, default=RATES)
    parser.add_argument(
        "--climb", type=read_rates, default=CLIMB, help="tried one after the other, until some are lost"
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each load lasts")
    parser.add_argument("--dags", type=int, default=1_000)
    parser.add_argument("--parts", type=lambda text: text.split(","), default=PARTS, help=f"of {','.join(PARTS)}")
    parser.add_argument("--cold", action="store_true", help="what new lines cost, and nothing else")
    parser.add_argument("--real", action="store_true", help="recorded lines at real rates, and nothing else")
    parser.add_argument("--loads", action="append", default=[], help="of --real, those with this text in their title")
    parser.add_argument("--scrapes", action="store_true", help="scrapes by a real Prometheus in PATH, and nothing else")
    parser.add_argument("--quick", action="store_true", help="plain lines, one each, and the figures only")
    options = parser.parse_args()
    dialects = [one for one in SPELLINGS if one in options.parts and (one == "plain" or not options.quick)]
    sides: dict[str, Run] = {"ours": lambda buffer, extra: run_ours(buffer, [*options.ours, *extra])}
    if options.peer:
        sides["peer"] = lambda buffer, _: run_peer(options.peer, buffer, options.peer_argument)
    if options.cold:
        return report_cold(sides, options.dags if options.quick else DAGS)
    if options.real:
        return report_real(sides, options.seconds, options.loads)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.dags, options.seconds, options.climb)
        if options.scrapes:
            return report_scrapes(bench, sides, 10 * options.seconds)
        print("| load | ours, µs a line | lost | scrapes | peer, µs a line | lost | scrapes | ratio |")
        print("| --- |" + " ---: |" * 7, flush=True)
        results = {}
        for load, found in measure_loads(bench, sides, list_loads(dialects, quick=options.quick, rates=options.rates)):
            results[load] = found
            print(write_row(str(load), found), flush=True)
        figures = {side: measure_figures(bench, run) for side, run in sides.items() if "figures" in options.parts}
    if figures:
        print("\n" + write_figures(figures))
    return report_missed(list(find_missed({str(load): found for load, found in results.items()}, figures)))


if __name__ == "__main__":
    sys.exit(main())
