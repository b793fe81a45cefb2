"""An invented past of an Airflow of some size, written to a Prometheus by remote write: what dashboards read.

Names and labels come from the catalogue and the shipped rules; values are plausible, series as many as in real life.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import requests

from exporter.metrics.catalogue.families import FAMILIES
from exporter.metrics.family import Family, Kind

AIRFLOW, JOB = "production", "airflow"
CHOSEN_DAG, CHOSEN_TASK = "dag_00000", "task_0"
MINUTE, HOUR = 60, 3600
SCRAPE = 30
SLICE = HOUR
VARIANTS = 50
"""Different courses that series take; each series takes one of them."""
BATCH = 2000
VALUES: dict[str, tuple[str, ...]] = {
    "pool": tuple(f"pool_{n}" for n in range(20)),
    "queue": tuple(f"queue_{n}" for n in range(5)),
    "state": ("success", "failed", "running", "queued", "scheduled", "deferred", "up_for_retry"),
    "run_type": ("scheduled", "manual", "backfill", "asset_triggered"),
    "component": ("scheduler", "dag_processor", "triggerer", "api_server", "metadatabase"),
    "quantile": ("0.5", "0.95", "0.99"),
    "source": ("airflow", "statsd", "host"),
    "reader": ("dags", "runs", "tasks", "pools", "health", "jobs"),
    "mode": ("user", "system", "idle", "iowait"),
    "resource": ("cpu", "memory", "io"),
    "endpoint": ("dags", "dagRuns", "taskInstances", "pools"),
    "meaning": ("what failed",),
    "setting": ("what to look at",),
}
SHARED: tuple[str, ...] = ("pool", "queue")
"""Labels of which a DAG has one value."""
DESCRIPTIONS = ("owners", "tags", "schedule", "bundle", "file")
ACTIVE = ("queued", "running")
ENDED = ("success", "failed")
SELDOM = 50
"""DAGs that have what few have: a backfill, a task that runs now or was lost, a histogram of each task, records."""
OF_FEW = (
    "airflow_backfill_",
    "airflow_custom_",
    "airflow_scheduler_tasks_killed_externally_",
    "airflow_sla_",
    "airflow_task:",
    "airflow_task_active_instances",
    "airflow_task_instances_without_heartbeat_",
    "airflow_task_memory_bytes",
    "airflow_task_try_duration_seconds",
)
HOSTS = tuple(f"worker-{n}:10112" for n in range(10))
CENTRAL = "exporter:10112"


class Kept(NamedTuple):
    """A series name: its labels, whether it only grows, where it is, and whether queries only ask for one DAG of it."""

    name: str
    labels: tuple[str, ...]
    grows: bool
    hosts: Sequence[str] = (CENTRAL,)
    buckets: tuple[str, ...] = ()
    closed: dict[str, tuple[str, ...]] = {}  # noqa: RUF012 - never changed
    only_one: bool = False


def exposed(name: str) -> Kept | None:
    """What the catalogue says of a name of samples."""
    for family in FAMILIES:
        if name == family.name or (family.kind is Kind.HISTOGRAM and name.startswith(f"{family.name}_")):
            return _of_family(family, name)
    return None


def _of_family(family: Family, name: str) -> Kept:
    buckets = (*(f"{bound:g}" for bound in family.buckets), "+Inf") if name.endswith("_bucket") else ()
    on_workers = family.source == "host" and "dag_id" not in family.labels
    grows = family.kind is not Kind.GAUGE
    return Kept(name, family.labels, grows, HOSTS if on_workers else (CENTRAL,), buckets, dict(family.closed))


class Series(NamedTuple):
    """The labels of one series as remote write has them, since when it is there, and its course."""

    prefix: bytes
    depth: int
    course: int
    grows: bool


def series_of(kept: Kept, dags: int, tasks: int, *, recorded: bool) -> Iterator[Series]:
    """Yield every series of a name."""
    others = [
        label
        for label in kept.labels
        if label not in ("dag_id", "task_id", "pool", "queue", "instance", "job", "airflow")
    ]
    ends = kept.grows or "finished" in kept.name or "outcomes" in kept.name
    if kept.name.startswith(OF_FEW):
        dags = min(dags, SELDOM)
    known = {
        **VALUES,
        **{label: (label,) for label in DESCRIPTIONS if "dag_id" in kept.labels},
        **({"state": ENDED} if ends else {"state": ACTIVE} if "dag_run" in kept.name else {}),
        **kept.closed,
    }
    free = [known.get(label) or (f"{label}_0", f"{label}_1") for label in others]
    if kept.buckets:
        others, free = [*others, "le"], [*free, kept.buckets]
    target = {"airflow": AIRFLOW} if recorded else {"airflow": AIRFLOW, "job": JOB}
    instances = [{}] if recorded and "instance" not in kept.labels else [{"instance": host} for host in kept.hosts]
    for number, owner in enumerate(_owners(kept, dags, tasks)):
        for values in product(*free):
            for instance in instances:
                labels = {
                    "__name__": kept.name,
                    **target,
                    **instance,
                    **owner,
                    **dict(zip(others, values, strict=True)),
                }
                yield Series(
                    _labels(labels),
                    _depth(owner, kept, recorded=recorded),
                    (number * 7 + len(values[0]) if values else number) % VARIANTS,
                    kept.grows,
                )


def _owners(kept: Kept, dags: int, tasks: int) -> Iterator[dict[str, str]]:
    """Yield DAGs and tasks, with the one pool and queue of each; or only pools and queues; or nothing."""
    if "dag_id" not in kept.labels:
        alone = [label for label in SHARED if label in kept.labels]
        yield from (dict(zip(alone, values, strict=True)) for values in product(*(VALUES[label] for label in alone)))
        return
    for dag in range(dags):
        place: dict[str, str] = {
            label: VALUES[label][dag % len(VALUES[label])] for label in ("pool", "queue") if label in kept.labels
        }
        if "task_id" in kept.labels:
            yield from ({"dag_id": f"dag_{dag:05d}", "task_id": f"task_{task}", **place} for task in range(tasks))
        else:
            yield {"dag_id": f"dag_{dag:05d}", **place}


def _depth(owner: dict[str, str], kept: Kept, *, recorded: bool) -> int:
    """As long a past as queries read, so that it is written in minutes.

    Of the chosen DAG a day; of the whole, and of other DAGs, six hours; of tasks and of what is recorded of each DAG a
    bit more than an hour; of other DAGs in what is asked for one DAG only a few samples, for the index to have them.
    """
    if owner.get("dag_id") == CHOSEN_DAG:
        return 24 * HOUR
    if "dag_id" not in owner:
        return 6 * HOUR
    if kept.only_one:
        return 10 * MINUTE
    return 70 * MINUTE if "task_id" in owner or recorded else 6 * HOUR


# ---- remote write: protobuf by hand, in snappy's frame but not compressed -------------------------


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _labels(labels: dict[str, str]) -> bytes:
    pairs = (_field(1, name.encode()) + _field(2, value.encode()) for name, value in sorted(labels.items()))
    return b"".join(_field(1, pair) for pair in pairs)


def samples(course: int, start: int, end: int, origin: int, *, grows: bool) -> bytes:
    """The samples of one course over a slice of time; a course of 0 never moves."""
    out = []
    for moment in range(start, end, SCRAPE):
        value = course * (moment - origin) / 500 // 1 if grows else course * (1 + moment // 300 % 5)
        content = b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(moment * 1000)
        out.append(_field(2, content))
    return b"".join(out)


def _framed(body: bytes) -> bytes:
    return _varint(len(body)) + b"\xfc" + struct.pack("<I", len(body) - 1) + body


def write(url: str, series: Sequence[Series], now: int) -> int:
    """Write the past of all series up to now, oldest hour first; how many samples there are."""
    session = requests.Session()
    session.trust_env = False
    origin = now - 24 * HOUR
    written = 0
    for start in range(origin, now, SLICE):
        end = min(start + SLICE, now)
        blocks = {(c, g): samples(c, start, end, origin, grows=g) for c in range(VARIANTS) for g in (True, False)}
        there = [one for one in series if now - one.depth < end]
        for begin in range(0, len(there), BATCH):
            batch = there[begin : begin + BATCH]
            body = b"".join(_field(1, one.prefix + blocks[one.course, one.grows]) for one in batch)
            reply = session.post(f"{url}/api/v1/write", data=_framed(body), headers=HEADERS, timeout=120)
            reply.raise_for_status()
        written += len(there) * ((end - start) // SCRAPE)
    session.close()
    return written


HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
