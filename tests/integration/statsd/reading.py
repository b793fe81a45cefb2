"""An independent reading of the recorded streams: what was done, by the facts about Airflow, one plain rule an event.

Where tags are sent, the name with tags is read and the name with ids is passed over; without tags it is the other way
round, and a name without either is read only where nothing is lost. What a number is in seconds is told by a table.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from exporter.metrics.catalogue.families import FAMILIES
from tests.integration.statsd.streams import Line, Stream

Key = tuple[str, tuple[str, ...]]
Fact = tuple[str, tuple[str, ...], float]

DAGS = (
    "asset_mail", "asset_report", "branch_demo", "continuous_demo", "etl_orders", "failing.errors.demo", "limits_demo",
    "manual_api", "odd-ids.v1_0", "pools_contention", "resource_heavy", "sensors_demo",
)  # fmt: skip
DAG = "(?P<dag>" + "|".join(re.escape(dag) for dag in DAGS) + ")"
SECONDS = {
    # release, mode: what is sent in seconds though it is called milliseconds
    ("2.11.2", "plain"): {"wait"},
    ("2.11.2", "influxdb"): {"wait"},
    ("2.11.2", "datadog"): {"wait", "stopwatch", "span", "task", "file"},
    ("3.3.2", "plain"): {"file"},
    ("3.3.2", "influxdb"): {"file"},
    ("3.3.2", "datadog"): {"file", "stopwatch"},
}
WITHOUT_IDS = {
    "job_start": "airflow_jobs_started_total",
    "job_end": "airflow_jobs_ended_total",
    "schedulerjobrunner_end": "airflow_scheduler_ends_total",
    "scheduler_heartbeat": "airflow_scheduler_heartbeats_total",
    "triggerer_heartbeat": "airflow_triggerer_heartbeats_total",
    "dag_processor_heartbeat": "airflow_dag_processor_heartbeats_total",
    "asset.updates": "airflow_asset_updates_total",
    "dataset.updates": "airflow_asset_updates_total",
    "asset.triggered_dagruns": "airflow_asset_triggered_dag_runs_total",
    "dataset.triggered_dagruns": "airflow_asset_triggered_dag_runs_total",
    "asset.orphaned": "airflow_assets_orphaned",
    "dataset.orphaned": "airflow_assets_orphaned",
    "dagbag_size": "airflow_dag_processor_dags",
    "dag_processing.import_errors": "airflow_import_errors",
    "dag_processing.total_parse_time": "airflow_dag_processor_total_parse_duration_seconds",
    "dag_processing.file_path_queue_size": "airflow_dag_processor_queued_files",
    "dag_processing.file_path_queue_update_count": "airflow_dag_processor_queue_updates_total",
    "dag_processing.other_callback_count": "airflow_dag_processor_callbacks_total",
    "dag_processing.callback_only_count": "airflow_dag_processor_callback_only_runs_total",
    "triggers.succeeded": "airflow_triggers_succeeded_total",
    "triggers.blocked_main_thread": "airflow_triggers_blocked_main_thread_total",
    "ti_successes": "airflow_task_instance_successes_total",
    "ti_failures": "airflow_task_instance_failures_total",
}
WITH_STATE = {
    "scheduler.tasks.executable": ("airflow_scheduler_tasks", ("executable",)),
    "scheduler.tasks.starving": ("airflow_scheduler_tasks", ("starving",)),
    "scheduler.dagruns.running": ("airflow_scheduler_dag_runs", ("", "running")),
    "scheduler.orphaned_tasks.adopted": ("airflow_scheduler_orphaned_tasks_total", ("adopted",)),
    "scheduler.orphaned_tasks.cleared": ("airflow_scheduler_orphaned_tasks_total", ("cleared",)),
    "scheduler.dag_bag.cache_hit": ("airflow_dag_bag_cache_requests_total", ("scheduler", "hit")),
    "scheduler.dag_bag.cache_miss": ("airflow_dag_bag_cache_requests_total", ("scheduler", "miss")),
    "scheduler.dag_bag.cache_size": ("airflow_dag_bag_cached_dags", ("scheduler",)),
    "api_server.dag_bag.cache_hit": ("airflow_dag_bag_cache_requests_total", ("api_server", "hit")),
    "api_server.dag_bag.cache_miss": ("airflow_dag_bag_cache_requests_total", ("api_server", "miss")),
    "connection_test.active": ("airflow_connection_tests", ("active",)),
    "connection_test.pending": ("airflow_connection_tests", ("pending",)),
}
STOPWATCHES = {
    "scheduler.scheduler_loop_duration": "airflow_scheduler_loop_duration_seconds",
    "scheduler.critical_section_duration": "airflow_scheduler_critical_section_duration_seconds",
    "scheduler.critical_section_query_duration": "airflow_scheduler_critical_section_query_duration_seconds",
    "serde.load_serializers": "airflow_serde_load_serializers_duration_seconds",
}
DELAYS = {
    "dagrun.first_task_scheduling_delay": "airflow_dag_run_first_task_scheduling_delay_seconds",
    "dagrun.first_task_start_delay": "airflow_dag_run_first_task_start_delay_seconds",
}
POOLS = {
    "open_slots": ("airflow_pool_open_slots", ()),
    "deferred_slots": ("airflow_pool_deferred_slots", ()),
    "scheduled_slots": ("airflow_pool_waiting_slots", ()),
    "starving_tasks": ("airflow_pool_starving_tasks", ()),
    "running_slots": ("airflow_pool_occupied_slots", ("running",)),
    "queued_slots": ("airflow_pool_occupied_slots", ("queued",)),
}
EXECUTOR = {
    "open_slots": ("airflow_executor_slots", ("open",)),
    "running_tasks": ("airflow_executor_slots", ("running",)),
    "queued_tasks": ("airflow_executor_queued_tasks", ()),
}
TRIGGERER = {
    "triggers.running": "airflow_triggerer_running_triggers",
    "triggerer.capacity_left": "airflow_triggerer_capacity_left",
}
OPERATORS = {
    "operator_successes": "airflow_operator_successes_total",
    "operator_failures": "airflow_operator_failures_total",
    "task_instance_created": "airflow_task_instances_created_total",
}
LABELS = {family.name: family.labels for family in FAMILIES}
USAGE = {"cpu": "airflow_task_cpu_usage_ratio", "mem": "airflow_task_memory_usage_ratio"}


class Reading:
    """What one stream says: sums of counters, newest values of gauges, and how often each of a counter was touched."""

    def __init__(self, stream: Stream) -> None:
        self._old = stream.release.startswith("2")
        self._tagged = stream.mode != "plain"
        self._seconds = SECONDS[stream.release, stream.mode]
        self.values: dict[Key, float] = defaultdict(float)
        self.counts: dict[Key, int] = defaultdict(int)

    def read(self, lines: Iterable[Line]) -> Reading:
        for line in lines:
            if line.name.startswith("datadog."):
                continue
            for family, ids, value in self._interpret(line):
                labels = (*ids, "") if len(ids) < len(LABELS[family]) else ids  # no recording is of several teams
                gauge = line.type == "g" or family == "airflow_dag_processor_file_duration_seconds"
                key = (family, labels)
                self.values[key] = value if gauge else self.values[key] + value
                self.counts[key] += not gauge
        return self

    def _interpret(self, line: Line) -> Iterator[Fact]:
        name = line.name.removeprefix("airflow.")
        value = line.value / 1000 if line.type == "ms" else line.value
        tags = dict(line.tags)
        if name in WITHOUT_IDS:
            yield WITHOUT_IDS[name], (), value
        elif name in WITH_STATE:
            yield *WITH_STATE[name], value
        elif name in STOPWATCHES:
            yield STOPWATCHES[name], (), self._unit("stopwatch", value)
        elif name in DELAYS:
            yield DELAYS[name], (), self._unit("span", value)
        elif name == "scheduler.executor_heartbeat_duration":
            executor = (tags.get("executor", ""),)
            yield "airflow_scheduler_executor_heartbeat_duration_seconds", executor, self._unit("stopwatch", value)
        elif usage := re.fullmatch(f"task.(cpu|mem)_usage.{DAG}.(.+)", name):
            yield USAGE[usage[1]], (usage["dag"], usage[3]), value / 100
        elif queries := re.fullmatch(r"dag_processing.last_num_of_db_queries.(.+)", name):
            yield "airflow_dag_processor_file_db_queries", ("", f"{queries[1]}.py"), value
        elif self._tagged:
            yield from self._interpret_tags(name, tags, value)
        else:
            yield from self._interpret_ids(name, value)

    def _interpret_tags(self, name: str, tags: dict[str, str], value: float) -> Iterator[Fact]:
        head, _, tail = name.rpartition(".")
        if name in OPERATORS:
            operator = tags.get("operator_name") or tags.get("operator") or tags["task_type"]
            yield OPERATORS[name], (operator,), value
        elif name == "dag_processing.processes":
            yield "airflow_dag_processor_processes_total", (tags["action"],), 1
        elif name == "local_task_job.task_exit":
            yield "airflow_local_task_job_exits_total", (tags["dag_id"], tags["return_code"]), value
        elif head == "pool" and "pool_name" in tags:
            family, state = POOLS[tail]
            yield family, (tags["pool_name"], *state), value
        elif head == "executor" and "status" in tags:
            family, state = EXECUTOR[tail]
            yield family, (tags.get("executor_class_name") or tags["name"], "", *state), value
        elif name in TRIGGERER:
            yield TRIGGERER[name], (tags["hostname"],), value
        elif name.startswith("dag_processing.last_"):
            yield from self._interpret_file(name, tags, value)
        elif "dag_id" in tags:
            yield from self._interpret_work(name, tags, value)

    def _interpret_file(self, name: str, tags: dict[str, str], value: float) -> Iterator[Fact]:
        if name == "dag_processing.last_duration":
            yield from self._parse(tags.get("bundle_name", ""), tags["file_name"], value)
        elif name == "dag_processing.last_run.seconds_ago":
            file = f"{tags['file_name']}.py"
            yield "airflow_dag_processor_file_last_run_age_seconds", (tags["bundle_name"], file), value
        elif self._old and (match := re.fullmatch(r"dag_processing\.last_run\.seconds_ago\.(.+)", name)):
            yield "airflow_dag_processor_file_last_run_age_seconds", ("", f"{match[1]}.py"), value

    def _interpret_ids(self, name: str, value: float) -> Iterator[Fact]:
        """Without tags: the same events by the names with ids in them."""
        if operator := re.fullmatch(r"(operator_successes|operator_failures|task_instance_created)_(.+)", name):
            yield OPERATORS[operator[1]], (operator[2],), value
        elif pool := re.fullmatch(r"pool\.(\w+)\.(.+)", name):
            family, state = POOLS[pool[1]]
            yield family, (pool[2], *state), value
        elif executor := re.fullmatch(r"executor\.(\w+)" + ("" if self._old else r"\.(\w+)"), name):
            family, state = EXECUTOR[executor[1]]
            yield family, ("" if self._old else executor[2], "", *state), value
        elif triggerer := re.fullmatch(r"(triggers\.running|triggerer\.capacity_left)\.(.+)", name):
            yield TRIGGERER[triggerer[1]], (triggerer[2],), value
        elif file := re.fullmatch(r"dag_processing\.last_run\.seconds_ago\.(.+)", name):
            yield "airflow_dag_processor_file_last_run_age_seconds", ("", f"{file[1]}.py"), value
        elif file := re.fullmatch(
            r"dag_processing\.last_duration\." + ("()" if self._old else r"(.+)\.") + "(.+)", name
        ):
            yield from self._parse(file[1], file[2], value)
        elif work := self._find_work(name):
            yield from self._interpret_work(*work, value)

    def _find_work(self, name: str) -> tuple[str, dict[str, str]] | None:
        """The event and its ids; what 3.3 sends as two underscores is a dot in every id of the recording."""
        text = name if self._old else name.replace("__", ".")
        for pattern in (
            rf"(?P<event>ti\.start)\.{DAG}\.(?P<task>.+)",
            rf"(?P<event>ti\.finish)\.{DAG}\.(?P<task>.+)\.(?P<state>\w+)",
            rf"(?P<event>ti\.(?:running|queued|scheduled|deferred))\.(?P<queue>default)\.{DAG}\.(?P<task>.+)",
            rf"dag\.{DAG}\.(?P<task>.+)\.(?P<event>duration|queued_duration|scheduled_duration)",
            rf"(?P<event>dagrun\.dependency-check|dagrun\.duration\.\w+|dagrun\.schedule_delay)\.{DAG}",
            rf"(?P<event>local_task_job)\.task_exit\.\d+\.{DAG}\.(?P<task>.+)\.(?P<return_code>-?\d+)",
        ):
            match = re.fullmatch(pattern, text)
            if match:
                found = match.groupdict()
                event = found["event"] if not text.startswith("dag.") else f"task.{found['event']}"
                ids = {"dag_id": found["dag"], "task_id": found.get("task", "")}
                return event, ids | {key: found[key] for key in ("state", "queue", "return_code") if key in found}
        return None

    def _interpret_work(self, event: str, ids: dict[str, str], value: float) -> Iterator[Fact]:
        dag, task = ids["dag_id"], ids.get("task_id", "")
        if event == "ti.start":
            yield "airflow_task_starts_total", (dag,), value
        elif event == "ti.finish":
            yield from finish(dag, task, ids["state"], value)
        elif event in ("ti.running", "ti.queued", "ti.scheduled", "ti.deferred"):
            yield "airflow_task_active_instances", (dag, task, ids["queue"], event.removeprefix("ti.")), value
        elif event == "task.duration":
            yield "airflow_task_run_seconds_total", (dag, task), self._unit("task", value)
            yield "airflow_task_execution_duration_seconds", (dag,), self._unit("task", value)
        elif event == "task.queued_duration":
            yield from wait("queued", dag, self._unit("wait", value))
        elif event == "task.scheduled_duration" and not self._old:
            yield from wait("scheduled", dag, self._unit("wait", value))
        elif event == "local_task_job":
            yield "airflow_local_task_job_exits_total", (dag, ids["return_code"]), value
        elif event.startswith("dagrun."):
            yield from self._interpret_run(event.removeprefix("dagrun."), dag, ids.get("run_type", ""), value)

    def _interpret_run(self, event: str, dag: str, run_type: str, value: float) -> Iterator[Fact]:
        if event == "dependency-check":
            yield "airflow_scheduler_dependency_check_duration_seconds", (), self._unit("stopwatch", value)
            yield "airflow_dag_dependency_check_seconds_total", (dag,), self._unit("stopwatch", value)
        elif event == "schedule_delay":
            yield "airflow_dag_run_schedule_delay_seconds", (dag,), self._unit("span", value)
        elif event in ("duration.success", "duration.failed"):
            state = event.removeprefix("duration.")
            yield "airflow_dag_runs_finished_total", (dag, run_type, state), 1
            success = state == "success"
            family = "airflow_dag_run_duration_seconds" if success else "airflow_dag_run_failed_seconds_total"
            yield family, (dag,), self._unit("span", value)

    def _parse(self, bundle: str, file: str, value: float) -> Iterator[Fact]:
        seconds = self._unit("file", value)
        yield "airflow_dag_processor_parse_duration_seconds", (), seconds
        yield "airflow_dag_processor_file_duration_seconds", (bundle, f"{file}.py"), seconds

    def _unit(self, group: str, value: float) -> float:
        return value * 1000 if group in self._seconds else value


def finish(dag: str, task: str, state: str, value: float) -> Iterator[Fact]:
    """A process ended its work on a task: what that is, by what a try and an outcome are."""
    if state in ("success", "failed"):
        yield "airflow_task_instances_finished_total", (dag, task, state), value
    if state == "skipped":
        yield "airflow_task_instances_not_run_total", (dag, "skipped"), value
    if state in ("success", "failed", "skipped", "up_for_retry"):
        yield "airflow_task_tries_total", (dag, task), value
    if state in ("failed", "up_for_retry"):
        yield "airflow_task_tries_failed_total", (dag, task), value
    if state == "up_for_retry":
        yield "airflow_task_retries_total", (dag, task), value
    if state == "up_for_reschedule":
        yield "airflow_task_reschedules_total", (), value
    if state == "deferred":
        yield "airflow_task_deferrals_total", (), value


def wait(kind: str, dag: str, seconds: float) -> Iterator[Fact]:
    yield f"airflow_task_{kind}_duration_seconds", ("",), seconds
    yield f"airflow_dag_{kind}_seconds_total", (dag,), seconds
    yield f"airflow_dag_{kind}_tries_total", (dag,), 1
