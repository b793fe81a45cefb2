"""What a scrape costs, against prometheus-client in the same run: python -m benchmarks.exposition [--quick]

CPU is the process's own, in milliseconds, medians of alternating runs; between two runs something happens in one
DAG of twenty. Memory is resident, above what the process had before: held between scrapes, and at the highest moment
of a scrape. The goals are a twentieth of the CPU of both peers, and half of the memory of registered metrics: a
collector keeps nothing itself, and is there to compare. Exits with 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median
from typing import NamedTuple

from benchmarks.worker import SCRAPES, Answer, Worker

SIZES = (10_000, 100_000, 500_000)
PEERS = {"registered": "registered metrics", "collected": "a collector"}
CPU_GOALS = dict.fromkeys(("plain", "gzip"), dict.fromkeys(PEERS, 1 / 20))
MEMORY_GOALS = {"registered": 1 / 2}
MEGABYTE = 1e6


class Figure(NamedTuple):
    """One thing that was measured of both sides, in the same unit."""

    lines: int
    what: str
    ours: float
    theirs: dict[str, float]
    goals: dict[str, float]


def take(size: int, rounds: int) -> Iterator[Figure]:
    """Measure all sides at one size, in turns."""
    with ExitStack() as stack:
        workers = {holder: stack.enter_context(Worker(holder, size)) for holder in ("ours", *PEERS)}
        taken: dict[tuple[str, str], list[Answer]] = {}
        for _ in range(rounds):
            for what in SCRAPES:
                for holder, worker in workers.items():
                    worker.ask("happen")
                    taken.setdefault((what, holder), []).append(worker.ask(what))
        built = {holder: worker.built for holder, worker in workers.items()}
    for what in SCRAPES:
        cpu = {holder: 1000 * median(answer["cpu"] for answer in taken[what, holder]) for holder in workers}
        yield make_figure(size, f"CPU, {what}, ms", cpu, CPU_GOALS.get(what, {}))
    held = {holder: (answer["held"] - answer["before"]) / MEGABYTE for holder, answer in built.items()}
    yield make_figure(size, "memory held, MB", held, {})
    for what in ("plain", "gzip"):
        peaks = {holder: max(answer["peak"] for answer in taken[what, holder]) for holder in workers}
        above = {holder: (peak - built[holder]["before"]) / MEGABYTE for holder, peak in peaks.items()}
        yield make_figure(size, f"memory at most, {what}, MB", above, MEMORY_GOALS)


def make_figure(size: int, what: str, sides: dict[str, float], goals: dict[str, float]) -> Figure:
    return Figure(size, what, sides["ours"], {peer: sides[peer] for peer in PEERS}, goals)


def write_row(figure: Figure) -> str:
    cells = [f"{figure.lines:,}", figure.what, f"{figure.ours:,.1f}"]
    for theirs in figure.theirs.values():
        cells += [f"{theirs:,.1f}", f"1/{theirs / figure.ours:.1f}"]
    return "| " + " | ".join(cells) + " |"


def find_missed(figures: list[Figure]) -> Iterator[str]:
    """Say which goals were missed, against which peer."""
    for figure in figures:
        for peer, goal in figure.goals.items():
            if figure.ours > figure.theirs[peer] * goal:
                yield f"{figure.lines:,} lines, {figure.what}: more than 1/{1 / goal:.0f} of {PEERS[peer]}"


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exposition", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10,000 lines only, a few rounds")
    parser.add_argument("--no-goals", action="store_true", help="only measure: a missed goal is no failure")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side has its turn")
    options = parser.parse_args()
    sizes, rounds = (SIZES[:1], 3) if options.quick else (SIZES, options.rounds)
    print("| lines | | exporter | " + " | ".join(f"{title} | ratio" for title in PEERS.values()) + " |")
    print("| ---: | --- |" + " ---: |" * 5, flush=True)
    figures = []
    for size in sizes:
        for figure in take(size, rounds):
            figures.append(figure)
            print(write_row(figure), flush=True)
    missed = list(find_missed(figures))
    print("\nEvery goal is met." if not missed else "\nMissed:\n" + "\n".join(missed))
    return 1 if missed and not options.no_goals else 0


if __name__ == "__main__":
    sys.exit(main())
