"""A process with one holder in it, that does what its parent tells it, line by line, and answers with numbers.

Separate processes, so that neither side pays for what the other keeps in memory.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

from benchmarks.content import LINES_A_DAG, Collected, Ours, Registered, fill, invent

BUSY = 0.05
"""The part of the DAGs in which something happens between two scrapes."""
SCRAPES = {"plain": "expose", "gzip": "expose_packed", "gzip without isal": "expose_packed_by_zlib"}
"""The ways to expose, and the holder's method for each."""
Answer = dict[str, float]


class Worker:
    """A child process with a holder of some lines."""

    def __init__(self, holder: str, lines: int) -> None:
        self.holder = holder
        command = [sys.executable, "-m", "benchmarks.worker", holder, str(lines)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.built = self._read()

    def ask(self, what: str) -> Answer:
        """Have something done: `happen`, or one of SCRAPES."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process as process:
            process.kill()

    def _read(self) -> Answer:
        assert self._process.stdout is not None
        answer: Answer = json.loads(self._process.stdout.readline() or "{}")
        if not answer:
            raise RuntimeError(f"the process with {self.holder} ended")
        return answer


def read_memory(field: str) -> int:
    """A field of /proc/self/status, in bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition(f"{field}:")[2].split()[0]) * 1024


def forget_peak() -> None:
    """Let the process's highest memory be counted from now on."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def measure(expose: Callable[[], Iterable[bytes]]) -> Answer:
    """Expose once; a chunk is let go when it was taken, as a server does."""
    forget_peak()
    begun = time.process_time()
    size = sum(len(chunk) for chunk in expose())
    return {"cpu": time.process_time() - begun, "bytes": size, "peak": read_memory("VmHWM")}


def build(holder: str, lines: int) -> tuple[Ours | Registered | Collected, Answer]:
    """Fill a holder; returns it with the process's memory before, when all code is loaded, and after."""
    warm = fill(holder, 1000)
    for expose in (warm.expose, warm.expose_packed):
        measure(expose)
    gc.collect()
    before = read_memory("VmRSS")
    filled = fill(holder, lines)
    gc.collect()
    return filled, {"before": before, "held": read_memory("VmRSS")}


def main() -> None:
    """Serve the parent until it ends."""
    name, lines = sys.argv[1], int(sys.argv[2])
    holder, answer = build(name, lines)
    dags = lines // LINES_A_DAG
    random = Random(11)
    print(json.dumps(answer), flush=True)
    for line in sys.stdin:
        what = line.strip()
        if what == "happen":
            holder.apply(list(invent(random.sample(range(dags), int(dags * BUSY)), random)))
            answer = {"done": 1}
        else:
            answer = measure(getattr(holder, SCRAPES[what]))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
