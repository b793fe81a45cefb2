"""Airflow as a sender: the same work as each release sends it in each dialect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from exporter.sources.statsd.model import MetricType, Signature

TIMER, COUNTER, GAUGE = MetricType.TIMER, MetricType.COUNTER, MetricType.GAUGE


class Sender(NamedTuple):
    """How an Airflow is set up."""

    release: tuple[int, int]
    mode: str
    legacy_names_on: bool = True
    consistent: bool = False

    @property
    def old(self) -> bool:
        return self.release < (3, 0)


class Sent(NamedTuple):
    signature: Signature
    value: float


SENDERS = (
    Sender((2, 10), "plain"),
    Sender((2, 10), "influxdb"),
    Sender((2, 10), "datadog"),
    Sender((2, 11), "plain"),
    Sender((2, 11), "plain", consistent=True),
    Sender((2, 11), "influxdb"),
    Sender((2, 11), "influxdb", consistent=True),
    Sender((2, 11), "datadog"),
    Sender((2, 11), "datadog", consistent=True),
    Sender((3, 2), "plain"),
    Sender((3, 2), "influxdb"),
    Sender((3, 2), "influxdb", legacy_names_on=False),
    Sender((3, 2), "datadog"),
    Sender((3, 3), "plain"),
    Sender((3, 3), "influxdb"),
    Sender((3, 3), "influxdb", legacy_names_on=False),
    Sender((3, 3), "datadog"),
    Sender((3, 3), "datadog", legacy_names_on=False),
)
SECONDS = {
    # (2.x or not, datadog, timer_unit_consistency): groups that are sent in seconds
    (True, False, False): {"wait"},
    (True, False, True): set(),
    (True, True, False): {"wait", "span", "stopwatch", "task", "file"},
    (True, True, True): {"stopwatch", "task"},  # its client's own stopwatch knows nothing of the setting
    (False, False, False): {"file"},
    (False, True, False): {"file", "stopwatch"},
}


def send(
    sender: Sender, event: str, kind: MetricType, value: float, unit: str = "", /, *, legacy: str = "", **tags: str
) -> Iterator[Sent]:
    """One event: its legacy name first, then the modern one, as most of Airflow's code does."""
    if unit:
        seconds = unit in SECONDS[sender.old, sender.mode == "datadog", sender.consistent]
        value = value if seconds else value * 1000
    if legacy and sender.legacy_names_on:
        texts = {key: spell(sender, text) for key, text in tags.items()}
        left = {key: text for key, text in tags.items() if f"{{{key}}}" not in legacy or sender.old}
        yield write(sender, legacy.format(**texts), kind, value, left)
    yield write(sender, event, kind, value, tags)


def spell(sender: Sender, text: str) -> str:
    """An id as it is in a legacy name."""
    return text.replace(".", "__") if sender.release >= (3, 3) else text


def write(sender: Sender, name: str, kind: MetricType, value: float, tags: dict[str, str]) -> Sent:
    sent = () if sender.mode == "plain" else tuple(tags.items())
    return Sent(Signature(f"airflow.{name}", kind, sent, dialect=sender.mode if sent else ""), value)


def work(sender: Sender, dag: str = "sales.eu", task: str = "load.orders") -> Iterator[Sent]:
    """What one run of one task makes every release send."""
    ids = {"dag_id": dag, "task_id": task}
    executor = "executor_class_name" if sender.release >= (3, 2) else "name"
    operator = {"operator_name": "BashOperator"} if sender.release >= (3, 3) else {"operator": "BashOperator"}
    yield from send(sender, "dagrun.dependency-check", TIMER, 0.02, "stopwatch",
                    legacy="dagrun.dependency-check.{dag_id}", dag_id=dag, run_type="scheduled")  # fmt: skip
    yield from send(sender, "dagrun.schedule_delay", TIMER, 2.5, "span", legacy="dagrun.schedule_delay.{dag_id}",
                    dag_id=dag)  # fmt: skip
    if sender.release >= (3, 3):  # once more by hand, with its dots
        yield from send(sender._replace(release=(3, 2)), f"dagrun.{dag}.first_task_scheduling_delay", TIMER, 3.0,
                        "span", dag_id=dag, run_type="scheduled")  # fmt: skip
    yield from send(sender, "dagrun.first_task_scheduling_delay", TIMER, 3.0, "span",
                    legacy="dagrun.{dag_id}.first_task_scheduling_delay", dag_id=dag, run_type="scheduled")  # fmt: skip
    yield from send(sender, "ti.start", COUNTER, 1, legacy="ti.start.{dag_id}.{task_id}", **ids)
    for state in ("None", "queued", "removed", "success", "failed", "up_for_retry", "skipped") if sender.old else ():
        yield from send(sender, "ti.finish", COUNTER, 0, legacy="ti.finish.{dag_id}.{task_id}.{state}", **ids,
                        state=state)  # fmt: skip
    for state in ("up_for_retry", "failed", "success", "skipped"):
        yield from send(sender, "ti.finish", COUNTER, 1, legacy="ti.finish.{dag_id}.{task_id}.{state}", **ids,
                        state=state)  # fmt: skip
    yield from send(sender, "task.duration", TIMER, 12.5, "task" if sender.old else "span",
                    legacy="dag.{dag_id}.{task_id}.duration", **ids)  # fmt: skip
    yield from send(sender, "operator_successes", COUNTER, 1,
                    legacy="operator_successes_" + ("{operator_name}" if sender.release >= (3, 3) else "{operator}"),
                    **ids, **operator)  # fmt: skip
    yield from send(sender, "dagrun.duration.success", TIMER, 60.0, "span", legacy="dagrun.duration.success.{dag_id}",
                    dag_id=dag, run_type="scheduled")  # fmt: skip
    yield from send(sender, "dagrun.duration.failed", TIMER, 30.0, "span", legacy="dagrun.duration.failed.{dag_id}",
                    dag_id=dag, run_type="scheduled")  # fmt: skip
    yield from send(sender, "pool.open_slots", GAUGE, 7, legacy="pool.open_slots.{pool_name}", pool_name="etl")
    yield from send(sender, "pool.running_slots", GAUGE, 3, legacy="pool.running_slots.{pool_name}", pool_name="etl")
    suffix = f"executor.open_slots.{{{executor}}}" if sender.release >= (3, 3) else ""
    yield from send(sender, "executor.open_slots", GAUGE, 29, legacy=suffix, status="open",
                    **{executor: "CeleryExecutor"})  # fmt: skip
    yield from send(sender, "triggers.running", GAUGE, 4, legacy="triggers.running.{hostname}", hostname="t1.example")
    yield from send(sender, "scheduler.scheduler_loop_duration", TIMER, 0.25, "stopwatch")
    wait = "queued" if sender.old else "scheduled"
    yield from send(sender, f"task.{wait}_duration", TIMER, 1.5, "wait",
                    legacy=f"dag.{{dag_id}}.{{task_id}}.{wait}_duration", **ids)  # fmt: skip
    file = {"file_name": "sales"} if sender.old else {"bundle_name": "main", "file_name": "sales"}
    names = ".".join(f"{{{name}}}" for name in file)
    yield from send(sender, "dag_processing.last_duration", TIMER, 0.75, "file",
                    legacy=f"dag_processing.last_duration.{names}", **file)  # fmt: skip
