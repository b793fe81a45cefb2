"""What reading many Celery workers costs: `python -m benchmarks.celery [--smoke]`.

A real Redis, a process that answers Celery's remote control in the name of 1,000 workers with eight running tasks each,
and one that sends their heartbeats. One process that answers for all of them is slower than they are, so that a reading
takes less time in real life; the CPU time of the exporter is what it is. `--celery.interval` is 30 s by default.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from kombu import Connection, Exchange, Producer
from kombu.pidbox import Mailbox

from exporter.config.settings import CelerySettings
from exporter.sources.celery.source import CelerySource
from exporter.sources.directory import Directory
from tests.integration.celery.servers import find_redis, run_redis

VARIABLE = "BENCHMARK_BROKER_URL"
INTERVAL = 30.0
SLOTS = 16
AT_ONCE = 20
"""Replies that are sent together."""
RUNNING = 8
HEARTBEAT_SECONDS = 2.0
TASK = {
    "id": "0f1c5c3e-6a52-4a57-8f53-0c7a3c0f1c5c",
    "name": "execute_workload",
    "args": ["x" * 600],
    "kwargs": {},
    "type": "execute_workload",
    "time_start": 1.0e9,
    "acknowledged": False,
    "delivery_info": {"exchange": "", "routing_key": "default", "priority": 0, "redelivered": False},
}
"""About what Airflow sends: the workload with its token is the argument."""
ANSWERS: dict[str, Any] = {
    "active_queues": [{"name": f"queue_{n}", "exchange": {"name": "", "type": "direct"}} for n in range(2)],
    "stats": {"pool": {"max-concurrency": SLOTS, "processes": list(range(SLOTS))}},
    "active": [TASK] * RUNNING,
    "reserved": [],
    "conf": {"broker_transport_options": {"visibility_timeout": 86_400}},
}


class Cost(NamedTuple):
    """What one reading takes."""

    workers: int
    """How many said what they run."""
    seconds: float
    cpu: float
    """Seconds of this process."""


def names(count: int) -> list[str]:
    """The workers."""
    return [f"celery@worker-{number}" for number in range(count)]


def answer(url: str, count: int) -> None:
    """Answer every question in the name of all workers, until the process is ended."""
    with Connection(url) as connection:
        mailbox = Mailbox("celery", type="fanout", accept=["json"], serializer="json")(connection)
        channel = connection.channel()
        node = mailbox.Node("celery@all", channel=connection.channel())

        def on_question(body: dict[str, Any], _message: object) -> None:
            asked = body.get("destination") or names(count)
            with channel.conn_or_acquire() as client, client.pipeline(transaction=False) as pipeline:
                for first in range(0, len(asked), AT_ONCE):
                    for name in asked[first : first + AT_ONCE]:
                        pipeline.lpush(*write_reply(channel, name, body))
                    pipeline.execute()

        with node.listen(callback=on_question):
            while True:
                connection.drain_events()


def write_reply(channel: Any, name: str, question: dict[str, Any]) -> tuple[str, str]:  # noqa: ANN401 - kombu
    """The list of the replies, and a reply as kombu writes it; by kombu itself each would take several round trips."""
    to = question["reply_to"]
    answer = json.dumps({name: ANSWERS[question["method"]]})
    headers = {"ticket": question["ticket"]}
    message = channel.prepare_message(answer, 0, "application/json", "utf-8", headers)
    body, encoding = channel.encode_body(answer, channel.body_encoding)
    message["body"] = body
    message["properties"] |= {"body_encoding": encoding, "delivery_tag": str(uuid.uuid4()), "delivery_info": to}
    return f"{to['routing_key']}.{to['exchange']}", json.dumps(message)


def beat(url: str, count: int) -> None:
    """Send the heartbeats of all workers, until the process is ended."""
    with Connection(url) as connection:
        events = Producer(connection.channel(), Exchange("celeryev", type="fanout"), serializer="json")
        while True:
            end = time.monotonic() + HEARTBEAT_SECONDS
            for name in names(count):
                event = {"type": "worker-heartbeat", "hostname": name, "active": RUNNING}
                events.publish(event, routing_key="worker.heartbeat")
            time.sleep(max(0.0, end - time.monotonic()))


@contextmanager
def open_broker() -> Iterator[str]:
    """A Redis of its own."""
    with tempfile.TemporaryDirectory() as folder, run_redis(Path(folder)) as redis:
        yield redis.url


@contextmanager
def run_workers(url: str, count: int) -> Iterator[None]:
    """The processes that stand for all workers."""
    spawn = multiprocessing.get_context("spawn").Process
    processes = [spawn(target=target, args=(url, count), daemon=True) for target in (answer, beat)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.join()


def measure(url: str, count: int, rounds: int, *, remote_control: bool) -> Cost:
    """The median of some readings, after a first one that saw all workers."""
    os.environ[VARIABLE] = url
    source = CelerySource(CelerySettings(broker_url_environment=VARIABLE, remote_control=remote_control), Directory())
    source.connect()
    deadline = time.monotonic() + 120.0
    while read(source).workers < count:
        if time.monotonic() > deadline:
            sys.exit(f"{count} workers did not answer within two minutes")
    costs = [read(source) for _ in range(rounds)]
    source.close()
    return Cost(min(one.workers for one in costs), median(c.seconds for c in costs), median(c.cpu for c in costs))


def read(source: CelerySource) -> Cost:
    """One reading."""
    began, spent = time.monotonic(), time.process_time()
    found = source.read_workers()
    whole = sum(one.active is not None for one in found.workers)
    return Cost(whole, time.monotonic() - began, time.process_time() - spent)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.celery", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="20 workers, one reading: does it work at all")
    smoke = parser.parse_args().smoke
    if find_redis() is None:
        sys.exit("redis-server is not in PATH")
    print("| workers | read by | seen | a reading takes | CPU | of a core, every 30 s |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    for count in (20,) if smoke else (10, 100, 1_000):
        with open_broker() as url, run_workers(url, count):
            for remote_control in (True, False):
                cost = measure(url, count, 1 if smoke else 5, remote_control=remote_control)
                way = "remote control" if remote_control else "heartbeats"
                share = cost.cpu / INTERVAL
                print(
                    f"| {count:,} | {way} | {cost.workers:,} | {cost.seconds:.1f} s | {cost.cpu * 1_000:.0f} ms "
                    f"| {share:.1%} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
