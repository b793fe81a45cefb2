"""What the first pass over new lines costs, beside statsd_exporter: python -m benchmarks.statsd --cold [--peer PATH]

Each side starts fresh, takes every line once, and ends; the sides take turns, and of the passes of a side the cheapest
counts. New names differ in the ids of DAGs and tasks only, as those of an Airflow do. The recorded streams are what a
small Airflow sent in a quarter of an hour, squeezed into five seconds: that is the burst in which nothing may be lost.
"""

from __future__ import annotations

import json
import lzma
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from benchmarks.statsd_subjects import MAPPING, Subject, read_cpu, read_loss, wait_until_drained
from benchmarks.statsd_traffic import SPELLINGS, compile_sender, list_new_events, send, write_traffic

GOAL = 1.5
"""The share of the peer's CPU a line, for what is new."""
RATE = 10_000
"""Datagrams a second."""
PASSES = 3
DAGS = 1_563
"""So many DAGs of 10 tasks make 50,000 new names."""
RECORDED = Path(__file__).parents[1] / "tests" / "data" / "statsd"
STREAMS = ("3.3.2-plain", "2.11.2-plain")

Start = Callable[[tuple[str, ...]], AbstractContextManager[Subject]]
"""Starts a side, with further arguments for ours."""


class Case(NamedTuple):
    """One kind of new lines."""

    title: str
    traffic: Path
    datagrams: int
    arguments: tuple[str, ...]


class Pass(NamedTuple):
    """What one pass cost: microseconds of CPU a line that was taken, and the share that was lost."""

    cpu: float
    lost: float


def measure_cold(folder: Path, sides: Mapping[str, Start], dags: int) -> Iterator[str]:
    """Print each case as it is done; yields the goals that were missed."""
    program = compile_sender(folder)
    print("| new lines | ours, µs a line | lost | peer, µs a line | lost | ratio |")
    print("| --- |" + " ---: |" * 5, flush=True)
    for case in list_cases(folder, dags):
        passes: dict[str, list[Pass]] = {side: [] for side in sides}
        for _ in range(PASSES):
            for side, start in sides.items():
                with start(case.arguments) as subject:
                    passes[side].append(pass_once(program, case, subject))
        best = {side: min(done) for side, done in passes.items()}
        print(write_row(case, best), flush=True)
        yield from find_missed(case, best)


def list_cases(folder: Path, dags: int) -> Iterator[Case]:
    """New names in each dialect and under a mapping file, then the recorded streams."""
    events = list_new_events(dags)
    for dialect in SPELLINGS:
        path = folder / f"new-{dialect}"
        many = write_traffic(path, events, dialect, packed=False)
        yield Case(f"{many:,} names, {dialect}", path, many, ())
        if dialect == "plain":
            yield Case(f"{many:,} names, plain, mapped", path, many, (f"--statsd.mapping-config={MAPPING}",))
    for name in STREAMS:
        path = folder / name
        many = write_recorded(path, name)
        release = f"--statsd.release={name.partition('-')[0]}"
        yield Case(f"recorded, {name}, {many:,} lines", path, many, (release, "--statsd.mode=plain"))


def read_recorded(name: str) -> list[bytes]:
    """Every datagram of a recorded stream."""
    with lzma.open(RECORDED / f"{name}.jsonl.xz", "rt", encoding="utf-8") as file:
        return [json.loads(line).encode() for line in file]


def write_recorded(path: Path, name: str) -> int:
    """Write a recorded stream as the sender reads it; returns how many datagrams it has."""
    datagrams = read_recorded(name)
    path.write_bytes(b"".join(struct.pack("<H", len(one)) + one for one in datagrams))
    return len(datagrams)


def pass_once(program: Path, case: Case, subject: Subject) -> Pass:
    """Send everything once to a side that has just started."""
    lost, cpu = read_loss(subject), read_cpu(subject.pid)
    sent = send(program, case.traffic, subject.udp, RATE, case.datagrams)
    wait_until_drained(subject.udp)
    share = (sum(read_loss(subject)) - sum(lost)) / sent.datagrams
    taken = sent.lines * (1 - share)
    return Pass(1e6 * (read_cpu(subject.pid) - cpu) / taken if taken else 0.0, share)


def write_row(case: Case, best: Mapping[str, Pass]) -> str:
    """One case, both sides."""
    cells = [case.title]
    for side in ("ours", "peer"):
        done = best.get(side)
        cells += [f"{done.cpu:.1f}", f"{done.lost:.2%}" if done.lost else "0"] if done else ["", ""]
    ratio = f"{best['ours'].cpu / best['peer'].cpu:.2f}" if "peer" in best else ""
    return f"| {' | '.join([*cells, ratio])} |"


def find_missed(case: Case, best: Mapping[str, Pass]) -> Iterator[str]:
    """The goals that a case missed."""
    ours, peer = best["ours"], best.get("peer")
    if peer and ours.cpu > GOAL * peer.cpu:
        yield f"{case.title}: {ours.cpu / peer.cpu:.2f} of the peer's CPU a line, not {GOAL:g}"
    if ours.lost:
        yield f"{case.title}: {ours.lost:.2%} were lost at {RATE:,}/s, not 0"
