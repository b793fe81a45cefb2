"""StatsD as real Airflows send it, beside statsd_exporter: python -m benchmarks.statsd --real [--peer PATH]

The lines are those of recorded Airflows, a third to a half of them gauges, at rates from 50 a second on and at the
recorded pace. Both sides run at the same time and are measured in turns, so that what else the machine does meets both.
CPU is all that the process used during its turns, idling included, for each line that it took.
"""

from __future__ import annotations

import lzma
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import NamedTuple

from benchmarks.statsd_cold import RECORDED, read_recorded
from benchmarks.statsd_subjects import Subject, read_cpu, read_loss, wait_until_drained
from benchmarks.statsd_traffic import compile_sender, pack, send
from exporter.sources.statsd.aggregator import RECOMPILE_INTERVAL

LARGE = 4 * 1024 * 1024
STREAMS = ("3.3.2-influxdb", "2.11.2-datadog")
FAST = 20
"""How many times as fast as it was recorded a stream comes."""
WARM_RATE = 4_000
BURST_AFTER = 3.0
"""Seconds of silence before a burst."""
BURST, BURST_RATES = 4_000, (100_000, 200_000)
GOALS = {"50/s": 0.5, "100/s": 0.5, "400/s": 0.5, "2,500/s": 0.12, "20,000/s": 0.22, "packed": 0.45, "cold": 0.5}
"""The share of the peer's CPU a line, by a word of the load's title."""

Start = Callable[[int, Sequence[str]], AbstractContextManager[Subject]]
"""Starts a side with a receive buffer (0: the system's own) and further arguments for ours."""


class RealLoad(NamedTuple):
    """What is sent in one turn, and how often."""

    title: str
    traffic: Path
    rate: float
    """Datagrams a second, or how many times as fast as `pauses`."""
    datagrams: int
    pauses: Path | None = None
    turns: int = 3
    silence: float = 0.0
    """Seconds of silence before each turn, which count too."""


class TurnCost(NamedTuple):
    """What one side used and lost in its turns."""

    cpu: float
    taken: int
    lost: int

    @property
    def cost(self) -> float:
        """Microseconds a line."""
        return 1e6 * self.cpu / max(1, self.taken)


def measure_real(folder: Path, sides: Mapping[str, Start], seconds: float, words: Sequence[str]) -> Iterator[str]:
    """Print each load as it is done; yields the goals that were missed. `words` choose loads by their titles."""

    def is_chosen(title: str) -> bool:
        return not words or any(word in title for word in words)

    program = compile_sender(folder)
    print("| recorded lines | ours, µs a line | lost | peer, µs a line | lost | ratio |")
    print("| --- |" + " ---: |" * 5, flush=True)
    for stream in STREAMS:
        traffic = RecordedStream(folder, stream)
        loads = [load for load in list_loads(traffic, seconds) if is_chosen(load.title)]
        for buffer in (0, LARGE) if loads else ():
            yield from measure_warm(program, traffic, sides, buffer, loads)
        if is_chosen("cold"):
            yield from measure_cold(program, traffic, sides)


class RecordedStream:
    """A recorded stream as the sender reads it: as it was, one line a datagram, and packed."""

    def __init__(self, folder: Path, stream: str) -> None:
        self.stream = stream
        datagrams = read_recorded(stream)
        lines = [line for one in datagrams for line in one.decode().split("\n") if line]
        self.lines = len(lines)
        self.datagrams = len(datagrams)
        self.recorded = write(folder / stream, datagrams)
        self.single = write(folder / f"{stream}-single", [line.encode() for line in lines])
        self.packed = write(folder / f"{stream}-packed", list(pack(lines, packed=True)))
        pauses = [int(one) for one in lzma.decompress((RECORDED / f"{stream}.pauses.xz").read_bytes()).split()]
        self.seconds = sum(pauses) / 1000
        self.pauses = folder / f"{stream}-pauses"
        self.pauses.write_bytes(struct.pack(f"<{len(pauses)}H", *pauses))
        release, _, self.mode = stream.partition("-")
        self.arguments = (f"--statsd.release={release}", f"--statsd.mode={self.mode}")


def write(path: Path, datagrams: Sequence[bytes]) -> Path:
    """Write a file as the sender reads it."""
    path.write_bytes(b"".join(struct.pack("<H", len(one)) + one for one in datagrams))
    return path


def list_loads(traffic: RecordedStream, seconds: float) -> Iterator[RealLoad]:
    """Warm loads of one stream; `seconds` is how long each turn of the slow ones lasts."""
    for rate in (50, 100, 400, 2_500):
        yield RealLoad(f"{rate:,}/s, single", traffic.single, rate, int(rate * seconds))
    yield RealLoad("20,000/s, single", traffic.single, 20_000, int(20_000 * min(seconds, 2.0)))
    yield RealLoad("20,000/s, packed", traffic.packed, 20_000, int(20_000 * min(seconds, 1.0)))
    share = min(1.0, 3 * seconds / traffic.seconds)
    own = int(traffic.datagrams * share)
    yield RealLoad("own pace", traffic.recorded, 1, own, traffic.pauses, 2)
    yield RealLoad(f"own pace, {FAST} times", traffic.recorded, FAST, traffic.datagrams, traffic.pauses)
    for rate in BURST_RATES:
        title = f"{BURST:,} at {rate:,}/s out of silence"
        yield RealLoad(title, traffic.single, rate, BURST, silence=BURST_AFTER)


def measure_warm(
    program: Path, traffic: RecordedStream, sides: Mapping[str, Start], buffer: int, loads: Sequence[RealLoad]
) -> Iterator[str]:
    """These loads, on sides that know each line already."""
    with ExitStack() as stack:
        subjects = {side: stack.enter_context(start(buffer, traffic.arguments)) for side, start in sides.items()}
        for subject in subjects.values():
            for pause in (RECOMPILE_INTERVAL + 2.0, 0.0):
                send(program, traffic.recorded, subject.udp, WARM_RATE, traffic.datagrams)
                wait_until_drained(subject.udp)
                time.sleep(pause)
        for load in loads:
            turns = [{side: take_turn(program, one, load) for side, one in subjects.items()} for _ in range(load.turns)]
            title = f"{traffic.stream}, {load.title}, {'4 MiB' if buffer else 'stock'}"
            yield from report(title, {side: add_up([turn[side] for turn in turns]) for side in sides})


def measure_cold(program: Path, traffic: RecordedStream, sides: Mapping[str, Start], turns: int = 3) -> Iterator[str]:
    """The stream at FAST times its pace, on sides that have just started."""
    load = RealLoad("", traffic.recorded, FAST, traffic.datagrams, traffic.pauses)
    spent: dict[str, list[TurnCost]] = {side: [] for side in sides}
    for _ in range(turns):
        for side, start in sides.items():
            with start(0, traffic.arguments) as subject:
                spent[side].append(take_turn(program, subject, load))
    title = f"{traffic.stream}, own pace, {FAST} times, cold"
    yield from report(title, {side: add_up(some) for side, some in spent.items()})


def take_turn(program: Path, subject: Subject, load: RealLoad) -> TurnCost:
    """Send for a while, and see what it cost and what was lost."""
    lost, cpu = sum(read_loss(subject)), read_cpu(subject.pid)
    time.sleep(load.silence)
    sent = send(program, load.traffic, subject.udp, load.rate, load.datagrams, load.pauses)
    wait_until_drained(subject.udp)
    used = read_cpu(subject.pid) - cpu
    gone = sum(read_loss(subject)) - lost
    return TurnCost(used, round(sent.lines * (1 - gone / sent.datagrams)), gone)


def add_up(turns: Sequence[TurnCost]) -> TurnCost:
    """All turns of a side."""
    return TurnCost(*(sum(one) for one in zip(*turns, strict=True)))


def report(title: str, spent: Mapping[str, TurnCost]) -> Iterator[str]:
    """Print one load; yields the goals that it missed."""
    ours, peer = spent["ours"], spent.get("peer")
    cells = [title]
    for side in (ours, peer):
        cells += [f"{side.cost:.1f}", str(side.lost)] if side else ["", ""]
    ratio = ours.cost / peer.cost if peer else 0.0
    print(f"| {' | '.join([*cells, f'{ratio:.2f}' if peer else ''])} |", flush=True)
    words = title.split(", ")
    goal = next((GOALS[word] for word in reversed(words) if word in GOALS), 0.0)
    if peer and goal and ratio > goal:
        yield f"{title}: {ratio:.2f} of the peer's CPU a line, not {goal:g}"
    if ours.lost > (peer.lost if peer else 0):
        yield f"{title}: {ours.lost} datagrams were lost, {peer.lost if peer else 0} of them by the peer"
