"""Invented HTTP traffic against a real exporter: it stays alive and bounded, and its metrics are served in between.

python -m tests.fuzz.fuzz_http --requests 100000 --seed 1
"""

from __future__ import annotations

import argparse
import re
import socket
import struct
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

import psutil
import requests

from demo.workdir import free_port
from tests.e2e.exactness.subject import Subject
from tests.fuzz.http_requests import Attack, Manner, make_attack

CLIENTS = 24
CHECK_EVERY = 500
"""After so many attacks, the properties are checked."""
TIMEOUT = 1.0
"""For how long a client waits for more, in seconds."""
MAX_READ = 4_000_000
MAX_HALF_OPEN = 100
PIECE_PAUSE, SLOW_PAUSE = 0.001, 0.05
SLOW_BYTES = 40
MAX_GROWTH = 40_000_000
"""By how many bytes the process may grow."""
MAX_DESCRIPTORS = 60
"""How many descriptors more than at the start may be open, besides those of half-open connections."""
MAX_THREADS = 12
"""How many threads more than at the start may run."""
MAX_TAIL = 400
CLOSE = b"GET /-/healthy HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
"""Sent last, so that a server that understood what came before closes, and nothing waits for more replies."""
OWN = re.compile(r"(airflow_exporter_|process_|python_|# (HELP|TYPE) (airflow_exporter_|process_|python_))")
LINES = tuple(f"airflow.fuzz,part={number}:{number}|c" for number in range(50))


class Problem(NamedTuple):
    """What was wrong, and after how many attacks; or the number of the attack."""

    number: int
    what: str


class Fuzzer:
    """Sends attacks to one exporter."""

    def __init__(self, subject: Subject, seed: int) -> None:
        host, port = subject.address.rsplit(":", 1)
        self._address = (host, int(port))
        self._subject = subject
        self._seed = seed
        self._half_open: deque[socket.socket] = deque()
        self._process = psutil.Process(subject.pid)
        self._metrics = self._scrape()
        self._descriptors = self._process.num_fds()
        self._threads = self._process.num_threads()
        self._bytes = self._process.memory_info().rss
        self.statuses: Counter[str] = Counter()
        self.problems: list[Problem] = []
        self.grown_bytes = 0

    def run(self, count: int) -> None:
        """Send this many attacks."""
        with ThreadPoolExecutor(CLIENTS) as clients:
            for start in range(0, count, CHECK_EVERY):
                list(clients.map(self.attack, range(start, min(count, start + CHECK_EVERY))))
                self.check(min(count, start + CHECK_EVERY))
        self.close()

    def close(self) -> None:
        """Close what is half open; the exporter must then close its side."""
        while self._half_open:
            self._half_open.popleft().close()

    def attack(self, number: int) -> None:
        """Send one attack, and look at the replies."""
        attack = make_attack(self._seed, number)
        try:
            replies = self._send(attack)
        except OSError as error:
            if isinstance(error, ConnectionRefusedError):
                self.problems.append(Problem(number, "the connection was refused"))
            return
        for status in re.findall(rb"(?:^|\n)HTTP/1\.[01] (\d{3})", replies):
            self.statuses[status.decode()] += 1
            if status in (b"500", b"502", b"504"):
                self.problems.append(Problem(number, f"HTTP {status.decode()}"))
        if replies and not replies.startswith(b"HTTP/1."):
            self.problems.append(Problem(number, f"the reply is not HTTP: {replies[:40]!r}"))

    def _send(self, attack: Attack) -> bytes:
        client = socket.create_connection(self._address, TIMEOUT)
        if attack.manner is Manner.HALF_OPEN:
            client.sendall(attack.payload[: len(attack.payload) // 2])
            self._half_open.append(client)
            while len(self._half_open) > MAX_HALF_OPEN:
                self._half_open.popleft().close()
            return b""
        with client:
            send_pieces(client, attack)
            if attack.manner is Manner.RESET:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return b""
            if attack.manner is Manner.SHUT:
                client.shutdown(socket.SHUT_WR)
            return read_replies(client)

    def check(self, number: int) -> None:
        """Check that the exporter is alive, bounded, and serves what it served before."""
        if not self._process.is_running() or self._process.status() == psutil.STATUS_ZOMBIE:
            self.problems.append(Problem(number, "the exporter ended"))
            return
        self.grown_bytes = self._process.memory_info().rss - self._bytes
        descriptors = self._process.num_fds() - self._descriptors - len(self._half_open)
        threads = self._process.num_threads() - self._threads
        if self.grown_bytes > MAX_GROWTH:
            self.problems.append(Problem(number, f"it grew by {self.grown_bytes} bytes"))
        if descriptors > MAX_DESCRIPTORS:
            self.problems.append(Problem(number, f"{descriptors} descriptors more are open"))
        if threads > MAX_THREADS:
            self.problems.append(Problem(number, f"{threads} threads more run"))
        scraped = self._scrape()
        if scraped != self._metrics:
            changed = sorted(set(scraped) ^ set(self._metrics))
            self.problems.append(Problem(number, f"its metrics changed: {len(changed)} lines, {changed[:3]}"))

    def _scrape(self) -> list[str]:
        try:
            reply = requests.get(f"http://{self._subject.address}/metrics", timeout=30)
        except requests.RequestException as error:
            return [str(error)]
        lines = reply.text.splitlines() if reply.status_code == 200 else [f"HTTP {reply.status_code}"]
        return [line for line in lines if not OWN.match(line)]

    def leftover_descriptors(self, seconds: float) -> int:
        """How many descriptors more than at the start are open in the end, after waiting at most so long."""
        end = time.monotonic() + seconds
        while (left := self._process.num_fds() - self._descriptors) > 0 and time.monotonic() < end:
            time.sleep(0.2)
        return left


def send_pieces(client: socket.socket, attack: Attack) -> None:
    """Send the payload in the attack's manner."""
    payload = attack.payload + CLOSE
    if attack.manner is Manner.IN_PIECES:
        size = max(1, len(payload) // 5)
        for start in range(0, len(payload), size):
            client.sendall(payload[start : start + size])
            time.sleep(PIECE_PAUSE)
    elif attack.manner is Manner.SLOW:
        for start in range(SLOW_BYTES):
            client.sendall(payload[start : start + 1])
            time.sleep(SLOW_PAUSE)
    else:
        client.sendall(payload)


def read_replies(client: socket.socket) -> bytes:
    """What the server answers until it closes, or is silent for a while."""
    received = bytearray()
    with suppress(OSError):
        while len(received) < MAX_READ:
            piece = client.recv(65_536)
            if not piece:
                break
            received += piece
    return bytes(received)


def start_exporter(stack: ExitStack, folder: Path) -> Subject:
    """A real exporter with some series that do not change."""
    port = free_port(kind=socket.SOCK_DGRAM)
    flags = [
        *("--no-collector.airflow", "--no-collector.host", "--collector.statsd", "--exposition.birth-hold=1s"),
        *(f"--statsd.listen-udp=127.0.0.1:{port}", "--statsd.listen-tcp=", "--log.level=warning"),
    ]
    subject = Subject(folder, flags)
    stack.callback(subject.close)
    subject.start()
    subject.wait_ready()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for line in LINES:
            sender.sendto(line.encode(), ("127.0.0.1", port))
    end = time.monotonic() + 60
    while sum(value for series, value in subject.scrape().items() if "fuzz" in series.name) < sum(range(len(LINES))):
        if time.monotonic() > end:
            raise RuntimeError(f"the lines were not counted: see {subject.log}")
        time.sleep(0.5)
    return subject


def fuzz(folder: Path, seed: int, count: int) -> Fuzzer:
    """Send attacks to a new exporter, check it, and return what was found."""
    with ExitStack() as stack:
        fuzzer = Fuzzer(start_exporter(stack, folder), seed)
        fuzzer.run(count)
        left = fuzzer.leftover_descriptors(30.0)
        if left > 3:
            fuzzer.problems.append(Problem(count, f"{left} descriptors more stay open"))
        log = (folder / "exporter.log").read_text(encoding="utf-8", errors="replace")
        for tail in {line[-MAX_TAIL:] for line in log.splitlines() if "Traceback" in line}:
            fuzzer.problems.append(Problem(count, f"the log has a traceback that ends in {tail}"))
        return fuzzer


def main(words: Sequence[str] | None = None) -> int:
    """The command line; 1 if something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.fuzz_http", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(words)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = fuzz(Path(folder), given.seed, given.requests)
    print(f"{given.requests} attacks with seed {given.seed} in {time.monotonic() - began:.0f} s")
    print(f"replies: {dict(sorted(fuzzer.statuses.items()))}; the process grew by {fuzzer.grown_bytes / 1e6:.1f} MB")
    for problem in fuzzer.problems[:50]:
        print(f"attack {problem.number}: {problem.what}")
        print(f"  {make_attack(given.seed, problem.number).payload[:300]!r}")
    return int(bool(fuzzer.problems))


if __name__ == "__main__":
    sys.exit(main())
