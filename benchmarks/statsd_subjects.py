"""The two sides of the StatsD bench, each the real command in a process of its own, and what is read of a process."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

MAPPING = Path(__file__).with_name("statsd_mapping.yml")
CPUS = os.sched_getaffinity(0)
START = 60.0
"""Seconds to wait until a process serves."""
DRAINED = 0.5
"""Seconds for which a process rests after its socket is empty: it may have queues of its own."""


class Subject(NamedTuple):
    """A process under test. `drops` is the counter of what it threw away itself, after the kernel handed it over."""

    pid: int
    web: int
    udp: int
    drops: str


class Loss(NamedTuple):
    """Datagrams that were lost: by the kernel, for want of room, and by the process itself."""

    kernel: int
    own: int


def find_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def run_on(cpu: int) -> Iterator[None]:
    """What is started in the block has that CPU only, where there are others."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu} & CPUS or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def run_ours(buffer: int, extra: Sequence[str] = ()) -> Iterator[Subject]:
    """The exporter with StatsD only; a buffer of 0 is the system's own size."""
    web, udp = find_port(socket.SOCK_STREAM), find_port(socket.SOCK_DGRAM)
    command = [sys.executable, "-m", "exporter", "serve", "--no-collector.airflow", "--no-collector.host"]
    command += ["--statsd.listen-tcp=", f"--statsd.listen-udp=127.0.0.1:{udp}", "--statsd.release=3.3.2"]
    command += [f"--statsd.receive-buffer={buffer}", *extra]
    with run([*command, f"--web.listen-address=127.0.0.1:{web}"], web) as pid:
        yield Subject(pid, web, udp, "")


@contextmanager
def run_peer(program: Path, buffer: int, extra: Sequence[str] = ()) -> Iterator[Subject]:
    """statsd_exporter with the mapping of the bench."""
    web, udp = find_port(socket.SOCK_STREAM), find_port(socket.SOCK_DGRAM)
    command = [str(program), f"--statsd.mapping-config={MAPPING}", "--statsd.listen-tcp=", *extra]
    command += [f"--statsd.listen-udp=127.0.0.1:{udp}", *([f"--statsd.read-buffer={buffer}"] if buffer else [])]
    with run([*command, f"--web.listen-address=127.0.0.1:{web}"], web) as pid:
        yield Subject(pid, web, udp, "statsd_exporter_udp_packet_drops_total")


@contextmanager
def run(command: Sequence[str], web: int) -> Iterator[int]:
    """A process while it lives, from when it serves on; yields its id."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_EXPORTER_")}
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet) as process:
        try:
            wait_for(web, process)
            yield process.pid
        finally:
            process.terminate()


def wait_for(web: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START
    while time.monotonic() < end and process.poll() is None:
        try:
            scrape(web)
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"{process.args!r} does not serve")


def scrape(web: int, *, packed: bool = False) -> bytes:
    """The body of /metrics, as it came. Raises OSError."""
    connection = http.client.HTTPConnection("127.0.0.1", web, timeout=START)
    try:
        connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"} if packed else {})
        return connection.getresponse().read()
    finally:
        connection.close()


class Scraper:
    """Scrapes back to back while the block lasts; `count` says how often."""

    def __init__(self, web: int) -> None:
        self.count = 0
        self._web = web
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._scrape)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _scrape(self) -> None:
        while not self._stop.is_set():
            scrape(self._web, packed=True)
            self.count += 1


def read_cpu(pid: int) -> float:
    """CPU seconds of the threads that live, to the nanosecond: ticks are too coarse for a few thousand datagrams."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(one.read_text().split()[0]) for one in threads) / 1e9


def read_memory(pid: int) -> float:
    """Resident megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS"))


def read_sockets(udp: int) -> tuple[int, int]:
    """Bytes that wait at a port, and datagrams that the kernel has dropped there, of all sockets that share it."""
    lines = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    found = [fields for fields in lines if int(fields[1].rpartition(":")[2], 16) == udp]
    if not found:
        raise RuntimeError(f"nobody listens on UDP port {udp}")
    return sum(int(fields[4].rpartition(":")[2], 16) for fields in found), sum(int(fields[12]) for fields in found)


def wait_until_drained(udp: int) -> None:
    while read_sockets(udp)[0]:
        time.sleep(0.02)
    time.sleep(DRAINED)


def read_loss(subject: Subject) -> Loss:
    """What was lost since the start."""
    return Loss(read_sockets(subject.udp)[1], read_sample(subject, subject.drops) if subject.drops else 0)


def read_sample(subject: Subject, name: str) -> int:
    """The sum of a metric's series."""
    samples = [line.split() for line in scrape(subject.web).decode().splitlines() if line.startswith(name)]
    return round(sum(float(value) for *_, value in samples))


def count_lines(subject: Subject) -> int:
    """Lines of samples at /metrics."""
    return sum(not line.startswith(b"#") for line in scrape(subject.web).splitlines())
