"""What the exporter would have exposed of a simulated Airflow: series for Prometheus, with times, in OpenMetrics."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import TextIO

from exporter.tuning.simulation.simulation import Simulation
from exporter.tuning.simulation.work import SimulatedTry
from tests.e2e.advise.mixes import Mix

STEP = 60.0
"""Seconds between two readings."""
VERSION = "3.3.2"
DATABASE = "database:9112"
"""The instance of the exporter on the machine of the database."""
UNLOADED_REQUEST = 0.06
"""Seconds that a request to the API, or the critical section, takes while the database is free."""
REQUESTS = 14
"""Requests between two readings."""
LATENCIES = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, math.inf)
Labels = tuple[tuple[str, str], ...]


class Recorder:
    """Takes a reading of the simulation at regular times."""

    def __init__(self, mix: Mix, begin: float, end: float) -> None:
        self._mix = mix
        self._changes = mix.list_changes(begin, (end - begin) / 3600)
        self._end = end
        self.samples: defaultdict[str, defaultdict[Labels, list[tuple[float, float]]]]
        self.samples = defaultdict(lambda: defaultdict(list))
        """By family and labels."""
        self._ended = 0
        self._tries: defaultdict[str, float] = defaultdict(float)
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._waited: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._stalled: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._total: defaultdict[str, float] = defaultdict(float)
        self._idle: defaultdict[str, float] = defaultdict(float)
        self._requests: defaultdict[float, int] = defaultdict(int)

    def __call__(self, now: float, airflow: Simulation) -> None:
        """Take a reading. Whatever ends after the window is left out."""
        if now > self._end:
            return
        for one in airflow.ended[self._ended :]:
            self._tries[one.run.dag_id] += 1
            self._seconds[one.run.dag_id] += one.ended_at - one.started_at
        self._ended = len(airflow.ended)
        running = [airflow.tries[place] for place in airflow.running]
        self._read_tasks(now, running, [one for group in airflow.executor.get_all() for one in group.waiting])
        self._read_limits(now)
        self._read_machines(now, airflow, running)
        self._read_database(now, airflow)

    def _add(self, name: str, now: float, value: float, **labels: str) -> None:
        self.samples[name][(("airflow", self._mix.name), *labels.items())].append((now, value))

    def _read_tasks(self, now: float, running: list[SimulatedTry], queued: list[SimulatedTry]) -> None:
        reason = "parallelism" if len(self._mix.machines) == 1 else "workers_full"
        for task in self._mix.tasks:
            dag_id = task.dag_id
            for state, tries in (("running", running), ("queued", queued)):
                count = sum(one.run.dag_id == dag_id for one in tries)
                labels = {"dag_id": dag_id, "pool": "default_pool", "queue": "default", "state": state}
                self._add("airflow_task_instances", now, count, **labels)
                if state == "queued":
                    self._waited[dag_id, reason] += count * STEP
            self._add("airflow_task_tries_total", now, self._tries[dag_id], dag_id=dag_id, task_id="work")
            self._add("airflow_task_run_seconds_total", now, self._seconds[dag_id], dag_id=dag_id, task_id="work")
            self._add("airflow_waited_seconds_total", now, self._waited[dag_id, reason], dag_id=dag_id, reason=reason)
            self._add("airflow_dag_paused", now, 0, dag_id=dag_id)
        everything = sum(self._waited.values())
        self._add("airflow_object_waited_seconds_total", now, everything, reason=reason, object=reason)

    def _read_limits(self, now: float) -> None:
        slots = [slots for at, slots in self._changes if at <= now][-1]
        count = len(self._mix.machines)
        executor = "LocalExecutor" if count == 1 else "CeleryExecutor"
        self._add("airflow_parallelism_slots", now, slots if count == 1 else 2 * slots)
        self._add("airflow_executor_info", now, 1, executor=executor, team="", default="true")
        self._add("airflow_info", now, 1, version=VERSION)
        self._add("airflow_component_instances", now, 1, component="scheduler")
        self._add("airflow_exporter_reader_last_success_timestamp_seconds", now, now, source="airflow", reader="tasks")
        for number in range(count) if count > 1 else ():
            self._add("airflow_celery_worker_slots", now, slots / count, worker=f"celery@{number}")

    def _read_machines(self, now: float, airflow: Simulation, running: list[SimulatedTry]) -> None:
        for number, use in enumerate(airflow.machines.uses):
            host = {"instance": f"worker-{number}:9112"}
            machine, name = use.machine, host["instance"]
            self._add("airflow_host_cpus", now, machine.cores, **host)
            used = use.cpu.done_seconds
            self._add("airflow_host_cpu_seconds_total", now, used, mode="user", **host)
            self._read_idle(now, name, machine.cores, used)
            self._read_task_use(now, host, used, [one for one in running if one.machine == number])
            memory = min(use.memory, machine.memory)
            self._add("airflow_host_memory_bytes", now, memory, state="used", **host)
            self._add("airflow_host_memory_bytes", now, machine.memory - memory, state="free", **host)
            self._add("airflow_host_memory_available_bytes", now, machine.memory - memory, **host)
            for resource, waits in (("cpu", len(use.cpu) > machine.cores), ("memory", use.memory > machine.memory)):
                self._stalled[name, resource] += STEP * waits
                self._add(
                    "airflow_host_pressure_waiting_seconds_total",
                    now,
                    self._stalled[name, resource],
                    resource=resource,
                    **host,
                )

    def _read_database(self, now: float, airflow: Simulation) -> None:
        """The machine of the database, and how long requests take that need the database."""
        database, labels = airflow.machines.database, {"instance": DATABASE}
        cores, used = database.units, database.done_seconds
        self._add("airflow_host_cpus", now, cores, **labels)
        self._add("airflow_host_cpu_seconds_total", now, used, mode="user", **labels)
        self._read_idle(now, DATABASE, cores, used)
        for bound in LATENCIES:
            self._requests[bound] += REQUESTS * (UNLOADED_REQUEST / database.rate <= bound)
            for name in ("airflow_exporter_api_request_duration", "airflow_scheduler_critical_section_duration"):
                self._add(f"{name}_seconds_bucket", now, self._requests[bound], le=str(bound).replace("inf", "+Inf"))

    def _read_idle(self, now: float, instance: str, cores: float, used: float) -> None:
        """A counter: rounding must not let it fall, which would look like a restart."""
        self._total[instance] += STEP * cores
        self._idle[instance] = max(self._idle[instance], self._total[instance] - used)
        self._add("airflow_host_cpu_seconds_total", now, self._idle[instance], mode="idle", instance=instance)

    def _read_task_use(self, now: float, host: dict[str, str], used: float, running: list[SimulatedTry]) -> None:
        """CPU by task: by what it needs on average, because only the sum matters. Memory: what fits."""
        needed = sum(task.cpu for task in self._mix.tasks)
        memory = sum(one.memory for one in running)
        fits = min(1.0, self._mix.machines[0].memory / memory) if memory else 1.0
        for task in self._mix.tasks:
            labels = {"dag_id": task.dag_id, "task_id": "work", **host}
            self._add("airflow_task_cpu_seconds_total", now, used * task.cpu / needed, **labels)
            own = sum(one.memory for one in running if one.run.dag_id == task.dag_id)
            # 0, and not nothing, where none runs: in what is written afterwards a series ends only after five minutes.
            self._add("airflow_task_memory_bytes", now, own * fits, **labels)
            self._add("airflow_task_peak_resident_memory_bytes", now, task.memory, **labels)


def write_openmetrics(recorders: list[Recorder], file: TextIO) -> None:
    """All samples, family by family, as promtool reads them."""
    for name in sorted({name for recorder in recorders for name in recorder.samples}):
        kind = "counter" if name.endswith("_total") else "unknown" if name.endswith("_bucket") else "gauge"
        file.write(f"# TYPE {name.removesuffix('_total')} {kind}\n")
        for recorder in recorders:
            file.writelines(write_family(name, recorder))
    file.write("# EOF\n")


def write_family(name: str, recorder: Recorder) -> Iterator[str]:
    """The samples of a family."""
    for labels, samples in recorder.samples.get(name, {}).items():
        text = ",".join(f'{label}="{value}"' for label, value in labels)
        yield from (f"{name}{{{text}}} {value!r} {now!r}\n" for now, value in samples)
