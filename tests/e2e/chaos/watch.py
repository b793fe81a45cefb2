"""Watches every counter of the exporter for steps back, and sends StatsD lines whose number is known."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import requests

from exporter.metrics.catalogue.host import machine, processes, task_resources
from tests.e2e.exactness.subject import Subject

PAUSE = 1.0
TIMEOUT = 10.0
OWN = "airflow_exporter_"
"""The exporter's counters about itself start at 0 with each process."""
OF_THE_HOST = (*machine.FAMILIES, *processes.FAMILIES, *task_resources.FAMILIES)
NOT_KEPT = ("process_", "python_", *(family.name for family in OF_THE_HOST))
"""What the kernel counts since a start, and what the host source saw since its own."""
SENT = "airflow_custom_chaos_lines_total"
SERIES = 20
LINES_PER_SECOND = 50
WRITE_SECONDS = 8.0
"""How long before a kill the last write of StatsD's counters may lie: they are written every 5 s."""


class StepBack(NamedTuple):
    """A series that was lower than before. `at` is when it was seen so, or when it was gone before that."""

    at: float
    series: str
    before: float
    after: float

    def __str__(self) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(self.at))
        return f"{clock} {self.series}: {self.before:g}, then {self.after:g}"


def read_counters(text: str) -> dict[str, float]:
    """Counters, and the parts of histograms that only increase, by the text of their series."""
    types: dict[str, str] = {}
    found: dict[str, float] = {}
    family = ""
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            family, kind = line.split(" ")[2:4]
            types[family] = kind
        elif line and not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            kind = types.get(family, "")
            if kind == "counter" or (kind in ("histogram", "summary") and "quantile=" not in series):
                found[series] = float(value)
    return found


class CounterWatch:
    """Scrapes all the time, and records every series that steps back."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._last: dict[str, float] = {}
        self._gone: dict[str, float] = {}
        """Since when series are not exposed that were."""
        self._process = 0
        self.steps_back: list[StepBack] = []
        self.scrapes = 0
        self.answered: list[float] = []
        """When scrapes were answered, in Unix seconds."""

    def start(self) -> None:
        """Start to scrape."""
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._over.set()
        self._thread.join(timeout=60)

    @property
    def series(self) -> int:
        """How many series were watched."""
        return len(self._last)

    def _run(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while not self._over.wait(PAUSE):
                process = self._subject.pid
                try:
                    reply = session.get(f"http://{self._subject.address}/metrics", timeout=TIMEOUT)
                    text = reply.content.decode() if reply.ok else ""
                except (requests.RequestException, UnicodeDecodeError):
                    continue
                if text and process == self._subject.pid:
                    self.answered.append(time.time())
                    self.compare(read_counters(text), process, self.answered[-1])

    def compare(self, counters: Mapping[str, float], process: int, at: float) -> None:
        """Record what is lower than in the scrape before. A new process may start its own counters at 0."""
        if process != self._process:
            self._process = process
            self._last = {series: value for series, value in self._last.items() if not series.startswith(OWN)}
        for series, value in counters.items():
            if series.startswith(NOT_KEPT):
                continue
            before, lost = self._last.get(series, 0.0), self._gone.pop(series, at)
            if value < before - 1e-9 * abs(before):
                self.steps_back.append(StepBack(lost, series, before, value))
        for series in self._last.keys() - counters.keys():
            self._gone.setdefault(series, at)
        self._last.update(counters)
        self.scrapes += 1


class LineSender:
    """Sends StatsD lines at a constant rate, and remembers when each was sent."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lines", daemon=True)
        self.sent: list[float] = []

    def start(self) -> None:
        """Start to send."""
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._over.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
            while not self._over.wait(1 / LINES_PER_SECOND):
                line = f"airflow.chaos_lines,series={len(self.sent) % SERIES}:1|c"
                self.sent.append(time.time())
                try:
                    connection.sendto(line.encode(), ("127.0.0.1", self._port))
                except ConnectionRefusedError:
                    continue  # the exporter is down


class Loss(NamedTuple):
    """How many lines were sent and counted, and how many of them kills may have lost."""

    sent: int
    counted: int
    allowed: int

    @property
    def right(self) -> bool:
        """Whether nothing was counted twice, and nothing lost but by kills."""
        return self.sent - self.allowed <= self.counted <= self.sent


def judge_lines(
    sent: Sequence[float], counted: int, spans: Sequence[tuple[float, float]], answered: Sequence[float]
) -> Loss:
    """Compare the lines that were sent with those that were counted.

    Each span begins with the last moment at which everything before was certainly written, and ends with a kill. What
    is sent from then on until the next process answers may be lost.
    """
    losses = []
    for begin, kill in spans:
        back = min((at for at in answered if at > kill), default=kill)
        losses.append((begin, back))
    allowed = sum(any(begin <= at <= back for begin, back in losses) for at in sent)
    return Loss(len(sent), counted, allowed)
