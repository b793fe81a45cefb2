"""Running task instances that look wrong: they hang, lack CPU, poll, or have lost their process.

The past of a task is what its successful tries took. What a process does is known only of machines that the exporter
sees; of others it is said that it is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from exporter.diagnosis import reasons
from exporter.diagnosis.reasons import Reason
from exporter.diagnosis.waits.external import ExternalWaits
from exporter.diagnosis.words import format_seconds

if TYPE_CHECKING:
    from exporter.diagnosis.situation import ActiveTaskInstance

MIN_TRIES = 5
"""Successful tries of a task that are needed to say how long it usually takes."""
LONG_FACTOR, LONG_EXTRA_SECONDS = 3.0, 600.0
"""A try is far longer than its past if it takes this many times the 95th percentile, and this much more."""
IDLE_SECONDS = 300.0
"""Seconds without CPU after which a process counts as one that does nothing."""
MIN_POLL_SECONDS = 60.0
"""Seconds for which a sensor runs before it counts as one that holds a slot while it waits."""
MIN_LOST_SECONDS = 120.0
"""Seconds after its start from which on a running try must have a process."""
MIN_CPU_SECONDS = 20.0
"""Seconds after its start from which on a try's share of the CPU is compared with the past."""
STARVED_SHARE = 0.5
"""A try lacks CPU if it gets less than this part of the share that it had in the past."""
MIN_PAST_SHARE = 0.2
"""Share of one CPU below which a task is not one that needs CPU."""


class TryProcess(NamedTuple):
    """The processes of a try on a machine that the exporter sees."""

    pid: int
    """Of its oldest process."""
    cpu_seconds: float
    idle_seconds: float
    """Time since they last used CPU."""
    lost_parent: bool = False
    """Whether the process that supervised the task is gone."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the exporter sees of the machine that it runs on."""

    host_names: frozenset[str]
    processes: Mapping[str, TryProcess]
    """By the try's UUID (Airflow 3), or by what `get_process_key` makes of its ids (Airflow 2)."""
    saturated: str = ""
    """What shows that there is no CPU to spare; empty where there is, or it is not known."""


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of the successful tries of a task."""

    seconds: Sequence[float] = ()
    """How long they took."""
    cpu_share: float | None = None
    """The share of one CPU that they used, on average."""

    @property
    def p95(self) -> float | None:
        """The 95th percentile of what they took; None if there were too few."""
        if len(self.seconds) < MIN_TRIES:
            return None
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


NO_PAST = Past()
GetPast = Callable[[str, str], Past]
"""The past of a task, by its DAG and its id."""


@dataclass(frozen=True, slots=True)
class RunningTasks:
    """What is known of the running task instances."""

    now: float
    tasks: Sequence[ActiveTaskInstance]
    """All active ones."""
    get_past: GetPast = lambda _dag_id, _task_id: NO_PAST
    machine: Machine | None = None
    """None where no machine is seen."""
    crowded_pools: frozenset[str] = frozenset()
    """Pools for which others wait."""
    names: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """DAG and task of the tries on this machine that are not active, by UUID or key."""
    lacks_slots: bool = False
    """Whether others wait for a slot of an executor or a worker."""
    external: ExternalWaits = field(default_factory=dict)
    """What is known of sensors that wait for another DAG."""


class Suspicion(NamedTuple):
    """A task instance that looks wrong."""

    dag_id: str
    task_id: str
    reason: Reason
    facts: Sequence[str]
    suggestion: str
    since: float | None = None
    escalated: bool = False
    unconfirmed: str = ""
    """The try whose row and process were seen at different moments, by its process key: it counts once another look
    finds the same. Empty where one look is enough."""


def get_long_limit(past: Past) -> float | None:
    """Seconds after which a try of a task is far longer than its past; None where its past is not known."""
    p95 = past.p95
    return None if p95 is None else max(LONG_FACTOR * p95, p95 + LONG_EXTRA_SECONDS)


def get_process_key(row: ActiveTaskInstance) -> str:
    """What identifies the processes of a try: its UUID, or its DAG, run and task where the release has no UUID."""
    return row.uuid or f"{row.dag_id}\0{row.run_id}\0{row.task_id}"


def find_suspicious(running: RunningTasks) -> Iterator[Suspicion]:
    """Yield each running task instance that looks wrong, under one reason, and each process without a running try."""
    active: set[str] = set()
    for row in running.tasks:
        active.add(get_process_key(row))
        if row.state == "running" and row.start_date is not None:
            found = check_running(row, running.now - row.start_date, running)
            if found is not None:
                yield found
    if running.machine is not None:
        yield from find_orphans(running, running.machine, active)


def check_running(row: ActiveTaskInstance, elapsed: float, running: RunningTasks) -> Suspicion | None:
    """What is wrong with a running task instance; None where nothing is known to be."""
    machine = running.machine
    process = machine.processes.get(get_process_key(row)) if machine else None
    if process is not None and process.lost_parent:
        facts = [f"process {process.pid} on {row.hostname} goes on, the process that supervised it is gone"]
        text = f"End process {process.pid} if its work is not wanted; Airflow will call the try failed."
        return make(row, reasons.ORPHAN, facts, text)
    if machine and process is None and row.hostname in machine.host_names and elapsed > MIN_LOST_SECONDS:
        facts = [f"no process of it on {row.hostname}, which the exporter sees, for {format_seconds(elapsed)}"]
        text = "Airflow calls it failed after task_instance_heartbeat_timeout; see what ended its process."
        return make(row, reasons.NO_HEARTBEAT, facts, text)._replace(unconfirmed=get_process_key(row))
    past = running.get_past(row.dag_id, row.task_id)
    if machine and process and (found := check_cpu(row, elapsed, process, past, machine)):
        return found
    if is_sensor(row.operator):
        return check_sensor(row, elapsed, past, running)
    limit = get_long_limit(past)
    if limit is None or elapsed <= limit or (process is not None and process.idle_seconds < IDLE_SECONDS):
        return None
    facts = [describe_past(elapsed, past), describe_process(process)]
    return make(row, reasons.HANGS, facts, suggest_timeout(row, past))


def check_cpu(
    row: ActiveTaskInstance, elapsed: float, process: TryProcess, past: Past, machine: Machine
) -> Suspicion | None:
    """Whether a try gets far less CPU than its past, on a machine that has none to spare."""
    share = process.cpu_seconds / max(elapsed, 1.0)
    usual = past.cpu_share
    if not machine.saturated or usual is None or usual < MIN_PAST_SHARE or elapsed < MIN_CPU_SECONDS:
        return None
    if share >= STARVED_SHARE * usual:
        return None
    facts = [f"{share:.2f} CPUs instead of {usual:.2f} as in the past", f"{row.hostname}: {machine.saturated}"]
    text = "Run fewer tasks at once on this machine (parallelism, worker_concurrency, pools), or give it more CPUs."
    return make(row, reasons.STARVED_OF_CPU, facts, text)


def check_sensor(row: ActiveTaskInstance, elapsed: float, past: Past, running: RunningTasks) -> Suspicion | None:
    """A sensor that holds a slot while it waits; more than normal work if others wait for its pool."""
    if elapsed <= MIN_POLL_SECONDS:
        return None
    facts = [f"{row.operator} has held a slot of pool {row.pool} for {format_seconds(elapsed)}"]
    limit = get_long_limit(past)
    is_long = limit is not None and elapsed > limit
    if is_long:
        facts.append(describe_past(elapsed, past))
    crowded = row.pool in running.crowded_pools
    if crowded:
        facts.append(f"others wait for pool {row.pool}")
    if running.lacks_slots:
        facts.append("others wait for a slot of the executor or of a worker")
    text = f"Use mode='reschedule' or deferrable=True for {row.dag_id}.{row.task_id}: it then waits without a slot."
    escalated = is_long or crowded or running.lacks_slots
    if (waits := running.external.get((row.dag_id, row.run_id, row.task_id, row.map_index))) is not None:
        facts += waits.facts
        text, escalated = f"{waits.suggestion} {text}", escalated or waits.escalated
    return make(row, reasons.POLLS, facts, text, escalated=escalated)


def find_orphans(running: RunningTasks, machine: Machine, active: set[str]) -> Iterator[Suspicion]:
    """Processes whose try is not active any more."""
    for key, process in machine.processes.items():
        if key in active or key not in running.names:
            continue
        dag_id, task_id = running.names[key]
        facts = [f"process {process.pid} works for a try that Airflow does not show as running"]
        text = f"End process {process.pid}, and see what killed its supervisor (kill -9, out of memory, a restart)."
        yield Suspicion(dag_id, task_id, reasons.ORPHAN, facts, text, unconfirmed=key)


def is_sensor(operator: str) -> bool:
    """Whether the name of an operator's class is that of a sensor."""
    return "Sensor" in operator


def is_polling(row: ActiveTaskInstance, now: float) -> bool:
    """Whether a row is a sensor that holds a slot while it waits."""
    is_running = row.state == "running" and row.start_date is not None and is_sensor(row.operator)
    return is_running and now - (row.start_date or now) > MIN_POLL_SECONDS


def make(
    row: ActiveTaskInstance, reason: Reason, facts: Sequence[str], suggestion: str, *, escalated: bool = False
) -> Suspicion:
    """A suspicion about a row."""
    return Suspicion(row.dag_id, row.task_id, reason, facts, suggestion, row.start_date, escalated)


def describe_past(elapsed: float, past: Past) -> str:
    """How long a try has taken, beside its past."""
    usual = format_seconds(past.p95 or 0.0)
    return f"for {format_seconds(elapsed)}; 95 % of its last {len(past.seconds)} successful tries took up to {usual}"


def describe_process(process: TryProcess | None) -> str:
    """What the process of a try does."""
    if process is None:
        return "whether its process uses CPU is not known: no exporter sees it together with Airflow's API"
    return f"process {process.pid} has used no CPU for {format_seconds(process.idle_seconds)}"


def suggest_timeout(row: ActiveTaskInstance, past: Past) -> str:
    """An execution_timeout to try, by the past."""
    limit = get_long_limit(past) or 0.0
    return (
        f"See the log of {row.dag_id}.{row.task_id}; an execution_timeout of some {format_seconds(limit)} would end it."
    )
