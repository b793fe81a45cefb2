"""What the StatsD bench sends: the lines of busy DAGs and of a scheduler, and the program in C that sends them."""

from __future__ import annotations

import random
import struct
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

SENDER = Path(__file__).with_name("statsd_sender.c")
TASKS = 10
"""Of each DAG."""
PACKED = 12
"""Lines of a packed datagram: what Airflow's DogStatsD client was seen to send."""
LARGEST = 1432
"""Bytes of a packed datagram at most."""
TYPES = {"counter": "c", "gauge": "g", "timer": "ms"}


class Event(NamedTuple):
    """A metric as Airflow's registry has it: the modern name with its tags, and how the legacy name spells them."""

    name: str
    legacy: str
    type: str
    value: str
    tags: dict[str, str]

    def plain(self) -> str:
        """As StatsD without tags has it."""
        return f"airflow.{self.legacy.format(**self.tags)}:{self.value}|{TYPES[self.type]}"

    def datadog(self) -> str:
        """As DogStatsD has it."""
        tags = ",".join(f"{name}:{value}" for name, value in self.tags.items())
        return f"airflow.{self.name}:{self.value}|{TYPES[self.type]}{'|#' if tags else ''}{tags}"

    def influxdb(self) -> str:
        """As InfluxDB has it."""
        tags = "".join(f",{name}={value}" for name, value in self.tags.items())
        return f"airflow.{self.name}{tags}:{self.value}|{TYPES[self.type]}"


SPELLINGS = {"plain": Event.plain, "datadog": Event.datadog, "influxdb": Event.influxdb}
"""How a dialect writes an event."""


class Sent(NamedTuple):
    """What the sender says of its work."""

    datagrams: int
    lines: int
    seconds: float


def list_events(dags: int) -> list[Event]:
    """Every task of every DAG runs once, in no order, and the scheduler goes round in between."""
    chance = random.Random(8125)
    events = [event for dag in range(dags) for event in run_dag(f"sales_etl_{dag:04}", chance)]
    events += [event for turn in range(len(events) // 16) for event in turn_scheduler(turn, chance)]
    chance.shuffle(events)
    return events


def list_new_events(dags: int) -> list[Event]:
    """Every task of every DAG runs once, in no order: no name comes twice."""
    chance = random.Random(8125)
    events = [event for dag in range(dags) for event in run_dag(f"sales_etl_{dag:04}", chance)]
    chance.shuffle(events)
    return events


def run_dag(dag_id: str, chance: random.Random) -> Iterator[Event]:
    for task in range(TASKS):
        tags = {"dag_id": dag_id, "task_id": f"load_part_{task}"}
        state = {**tags, "state": "success" if chance.random() < 0.95 else "failed"}
        yield Event("ti.start", "ti.start.{dag_id}.{task_id}", "counter", "1", tags)
        yield Event("ti.finish", "ti.finish.{dag_id}.{task_id}.{state}", "counter", "1", state)
        yield Event("task.duration", "dag.{dag_id}.{task_id}.duration", "timer", lasted(chance, 600_000), tags)
    tags = {"dag_id": dag_id}
    lasting = "dagrun.duration.success"
    yield Event(lasting, lasting + ".{dag_id}", "timer", lasted(chance, 3_600_000), tags)
    delay = "dagrun.schedule_delay"
    yield Event(delay, delay + ".{dag_id}", "timer", lasted(chance, 5_000), tags)


def turn_scheduler(turn: int, chance: random.Random) -> Iterator[Event]:
    """What the scheduler says of itself and of a pool: a third of all lines."""
    pool = {"pool_name": f"pool_{turn % 8}"}
    slots = str(chance.randrange(128))
    yield Event("scheduler_heartbeat", "scheduler_heartbeat", "counter", "1", {})
    loop = "scheduler.scheduler_loop_duration"
    yield Event(loop, loop, "timer", lasted(chance, 1_000), {})
    section = "scheduler.critical_section_duration"
    yield Event(section, section, "timer", lasted(chance, 100), {})
    yield Event("executor.open_slots", "executor.open_slots", "gauge", slots, {})
    yield Event("executor.running_tasks", "executor.running_tasks", "gauge", slots, {})
    yield Event("pool.open_slots", "pool.open_slots.{pool_name}", "gauge", slots, pool)
    yield Event("pool.running_slots", "pool.running_slots.{pool_name}", "gauge", slots, pool)
    check = "dagrun.dependency-check"
    dag = {"dag_id": f"sales_etl_{turn % 100:04}"}
    yield Event(check, check + ".{dag_id}", "timer", lasted(chance, 20), dag)


def lasted(chance: random.Random, most: float) -> str:
    """Milliseconds as Airflow's clients write them."""
    return f"{chance.uniform(0, most):.6f}"


def pack(lines: Sequence[str], *, packed: bool) -> Iterator[bytes]:
    """Datagrams of one line each, or of as many as a client packs."""
    held: list[str] = []
    size = 0
    for line in lines:
        if held and (not packed or len(held) == PACKED or size + len(line) >= LARGEST):
            yield "\n".join(held).encode()
            held, size = [], 0
        held.append(line)
        size += len(line) + 1
    yield "\n".join(held).encode()


def write_traffic(path: Path, events: Sequence[Event], dialect: str, *, packed: bool) -> int:
    """Write a file as the sender reads it; returns how many datagrams it has."""
    datagrams = list(pack([SPELLINGS[dialect](event) for event in events], packed=packed))
    path.write_bytes(b"".join(struct.pack("<H", len(one)) + one for one in datagrams))
    return len(datagrams)


def compile_sender(folder: Path) -> Path:
    """The program that sends. Raises CalledProcessError where it cannot be compiled."""
    program = folder / "statsd_sender"
    subprocess.run(["cc", "-O2", "-o", program, SENDER], check=True)
    return program


def send(program: Path, traffic: Path, port: int, rate: float, datagrams: int, pauses: Path | None = None) -> Sent:
    """Send to loopback and wait for the end; `rate` is datagrams a second, or how many times as fast as `pauses`."""
    command = [str(program), str(traffic), "127.0.0.1", str(port), str(rate), str(datagrams)]
    command += [str(pauses)] if pauses else []
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    sent, lines, seconds = done.stdout.split()
    return Sent(int(sent), int(lines), float(seconds))
