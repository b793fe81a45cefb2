"""Floods a running exporter with damaged StatsD lines: python tests/fuzz/flood.py [--lines 10000000] [--seed N]

The lines are those of recorded Airflows and some invented ones, with bytes changed, cut, doubled and mixed. They come
over TCP, so that none is lost and each is accounted for. Whatever comes: the exporter lives, what it holds is bounded,
and the series of a DAG that the flood never names are not touched. A failure names the seed of its chunk; kept seeds
(`flood_seeds.txt`) are replayed by `make slow`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import lzma
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

RECORDED = Path(__file__).parents[1] / "data" / "statsd"
SEEDS = Path(__file__).with_name("flood_seeds.txt")
STREAMS = ("3.3.2-influxdb", "2.11.2-datadog", "3.3.2-plain")
CHUNK = 50_000
"""Lines of one seed."""
CANARY = (
    b"airflow.ti.start,dag_id=canary_of_the_flood,task_id=sings:1|c",
    b"airflow.pool.open_slots,pool_name=canary_of_the_flood:7|g",
)
STARTS = 'airflow_task_starts_total{dag_id="canary_of_the_flood"'
MAX_SERIES = 400_000
"""Lines of an exposition that caps allow for what is not Airflow's, times its buckets."""
MAX_MEMORY = 900_000_000
"""Bytes, of all that caps and caches allow."""
PIECES = (
    b":", b"|", b"|c", b"|g", b"|ms", b"|@0.1", b"|#", b",", b"=", b".", b"..", b"__", b"-", b"+", b"e308", b"nan",
    b"inf", b"\x00", b"\xff", b"\xc3\xa9", b"\xe2\x80\xa8", b"{}", b"[", b"]", b"\\", b'"', b"_e{5,4}:", b"_sc|",
    b"|T1|", b"dag_id=", b"9" * 400, b"a" * 3_000, b"\t", b" ", b"airflow.", b"airflow_custom_", b"le=", b"__name__=",
)  # fmt: skip


class Flooded(NamedTuple):
    """An exporter under the flood."""

    process: subprocess.Popen[bytes]
    web: int
    statsd: socket.socket


class Count(NamedTuple):
    """What was sent so far."""

    lines: int
    canaries: int


def read_corpus() -> list[bytes]:
    """The different lines of the recordings."""
    lines: set[str] = set()
    for name in STREAMS:
        with lzma.open(RECORDED / f"{name}.jsonl.xz", "rt", encoding="utf-8") as file:
            lines.update(line for payload in file for line in json.loads(payload).split("\n") if line)
    return [line.encode() for line in sorted(lines)]


def damage(line: bytes, other: bytes, chance: random.Random) -> bytes:
    """The line with one to three changes."""
    for _ in range(chance.randrange(1, 4)):
        place, way = chance.randrange(len(line) + 1), chance.randrange(7)
        if way == 0:
            line = line[:place] + chance.choice(PIECES) + line[place:]
        elif way == 1:
            line = line[:place] + line[place + chance.randrange(1, 12) :]
        elif way == 2:
            line = line[:place] + other[chance.randrange(len(other) + 1) :]
        elif way == 3:
            line = line[:place] + bytes([chance.randrange(256)]) + line[place + 1 :]
        elif way == 4:
            line = line.replace(b".", chance.choice(PIECES), 1)
        elif way == 5:
            line = line[:place] + b"%d" % chance.randrange(10**9) + line[place:]
        else:
            line += line[place:]
    return line.replace(b"\n", b" ")


def make_chunk(seed: int, corpus: Sequence[bytes], lines: int = CHUNK) -> list[bytes]:
    """The lines of a seed: a tenth of them as they were recorded."""
    chance = random.Random(seed)
    chosen = chance.choices(corpus, k=lines + 1)
    return [one if chance.random() < 0.1 else damage(one, other, chance) for one, other in pairwise(chosen)]


def find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def run_exporter() -> Iterator[Flooded]:
    """An exporter with StatsD over TCP only."""
    web, statsd = find_port(), find_port()
    command = [sys.executable, "-m", "exporter", "serve", "--no-collector.airflow", "--no-collector.host"]
    command += ["--statsd.listen-udp=", f"--statsd.listen-tcp=127.0.0.1:{statsd}", "--exposition.birth-hold=0"]
    command += ["--statsd.release=3.3.2", "--statsd.mode=influxdb", f"--web.listen-address=127.0.0.1:{web}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_EXPORTER_")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 60
            while True:
                try:
                    with socket.create_connection(("127.0.0.1", statsd), timeout=60) as sock:
                        yield Flooded(process, web, sock)
                        return
                except ConnectionRefusedError:
                    if time.monotonic() > until or process.poll() is not None:
                        raise
                    time.sleep(0.1)
        finally:
            process.terminate()


def scrape(flooded: Flooded) -> str:
    """The exposition. Raises where the exporter does not answer with one."""
    connection = http.client.HTTPConnection("127.0.0.1", flooded.web, timeout=60)
    try:
        connection.request("GET", "/metrics")
        reply = connection.getresponse()
        assert reply.status == 200, reply.status
        return reply.read().decode()
    finally:
        connection.close()


def read_sample(text: str, start: str) -> float:
    """The value of the line that starts so."""
    found = [line for line in text.splitlines() if line.startswith(start)]
    assert len(found) == 1, (start, found)
    return float(found[0].rpartition(" ")[2])


def flood(flooded: Flooded, seed: int, corpus: Sequence[bytes], sent: Count, lines: int = CHUNK) -> Count:
    """Send the lines of a seed and the canaries."""
    chunk = make_chunk(seed, corpus, lines)
    flooded.statsd.sendall(b"\n".join([*chunk, *CANARY]) + b"\n")
    return Count(sent.lines + sum(bool(line.strip()) for line in chunk) + len(CANARY), sent.canaries + 1)


def wait_until_read(flooded: Flooded, sent: Count) -> str:
    """The exposition once every line is in it, be it counted, dropped or rejected, and no canary is missing."""
    until = time.monotonic() + 120
    while True:
        assert flooded.process.poll() is None, "the exporter ended"
        text = scrape(flooded)
        read = read_sample(text, "airflow_exporter_statsd_lines_total") + count_too_long(text)
        # A new counter is 0 at its first scrape.
        if read >= sent.lines and read_sample(text, STARTS) == sent.canaries:
            return text
        assert time.monotonic() < until, f"{read} of {sent.lines} lines, {read_sample(text, STARTS)} of {sent.canaries}"
        time.sleep(0.2)


def count_too_long(text: str) -> float:
    return read_sample(text, 'airflow_exporter_statsd_rejected_total{reason="too_long"}')


def check(flooded: Flooded, text: str, sent: Count) -> None:
    """The exporter holds what it may hold, and the canaries are as they were sent."""
    assert read_sample(text, STARTS) == sent.canaries
    assert read_sample(text, 'airflow_pool_open_slots{pool="canary_of_the_flood"') == 7
    assert text.count("\n") < MAX_SERIES
    assert read_memory(flooded.process.pid) < MAX_MEMORY


def read_memory(pid: int) -> int:
    """Resident bytes."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def main() -> int:
    """Flood, and print what it held after each million."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1, help="of the first chunk; each chunk has the next one")
    options = parser.parse_args()
    corpus, began = read_corpus(), time.monotonic()
    with run_exporter() as flooded:
        sent, text = flood(flooded, 0, corpus, Count(0, 0), 0), ""
        for seed in range(options.seed, options.seed + max(1, options.lines // CHUNK)):
            sent = flood(flooded, seed, corpus, sent)
            try:
                text = wait_until_read(flooded, sent)
                check(flooded, text, sent)
            except (AssertionError, OSError):
                print(f"seed {seed}: keep it in {SEEDS.name}", flush=True)
                raise
            if sent.canaries % 20 == 0:
                megabytes, passed = read_memory(flooded.process.pid) / 1e6, time.monotonic() - began
                print(
                    f"{sent.lines:,} lines, {text.count(chr(10)):,} exposed, {megabytes:.0f} MB, {passed:.0f} s",
                    flush=True,
                )
        assert list(text_string_to_metric_families(text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
