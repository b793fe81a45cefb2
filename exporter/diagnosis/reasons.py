"""The reasons why something waits: a closed set, with the setting that would change it.

One waiting thing has exactly one reason: the first of the scheduler's own checks that it does not pass. A reason is
permanent where waiting alone never helps, and transient where it is part of normal work for a while.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Patience(Enum):
    """How long something may wait for a reason before an operator looks at it."""

    NEVER = "waiting does not help: something must be changed"
    BUSY = "a limit is in use, or something is slow or stuck: look at it if it lasts"
    NORMAL = "part of normal work, unless it lasts"


class Reason(NamedTuple):
    """One reason. `name` is the value of the label `reason`."""

    name: str
    object_kind: str
    """What stands in the way: pool, dag, task, executor, queue, file, asset, database or airflow."""
    patience: Patience
    setting: str
    """The setting, argument or action that changes it."""
    meaning: str
    """One sentence for pages and documentation."""


DAG_PAUSED = Reason(
    "dag_paused", "dag", Patience.NEVER, "unpause the DAG", "The DAG is paused, so its scheduled tasks are not queued."
)
DAG_REMOVED = Reason(
    "dag_removed",
    "dag",
    Patience.NEVER,
    "bring the DAG back, or delete it in Airflow",
    "Airflow no longer finds the DAG in its files (removed, renamed, or a broken file), so its runs do not go on.",
)
RUN_NOT_RUNNING = Reason(
    "run_not_running", "dag", Patience.BUSY, "max_active_runs", "The DAG run of the task is itself still queued."
)
POOL_MISSING = Reason(
    "pool_missing",
    "pool",
    Patience.NEVER,
    "create the pool, or change the task's pool",
    "The task's pool does not exist.",
)
POOL_WITHOUT_SLOTS = Reason(
    "pool_without_slots", "pool", Patience.NEVER, "slots of the pool", "The pool has 0 slots: nothing in it ever runs."
)
POOL_TOO_SMALL = Reason(
    "pool_too_small",
    "pool",
    Patience.NEVER,
    "slots of the pool, or pool_slots of the task",
    "The task asks for more slots (pool_slots) than its pool has.",
)
POOL = Reason("pool", "pool", Patience.BUSY, "slots of the pool", "Other tasks hold the slots of the pool.")
PRIORITY = Reason(
    "priority",
    "pool",
    Patience.BUSY,
    "priority_weight, weight_rule, or slots of the pool",
    "The pool is full, and tasks with a higher priority_weight that became ready later have overtaken this one.",
)
MAX_ACTIVE_TASKS = Reason(
    "max_active_tasks",
    "dag",
    Patience.BUSY,
    "max_active_tasks of the DAG",
    "As many tasks of the DAG (Airflow 3: of the DAG run) are running or queued as max_active_tasks allows.",
)
MAX_ACTIVE_TIS = Reason(
    "max_active_tis",
    "task",
    Patience.BUSY,
    "max_active_tis_per_dag or max_active_tis_per_dagrun of the task",
    "As many instances of the task are running or queued as its own limit allows.",
)
PARALLELISM = Reason(
    "parallelism",
    "executor",
    Patience.BUSY,
    "parallelism in [core]",
    "The executor already has as many tasks as parallelism allows.",
)
DATABASE = Reason(
    "database",
    "database",
    Patience.BUSY,
    "the session that holds the lock, max_connections, or size and indices of the tables",
    "Nothing else stands in the way, and the metadata database holds up the scheduler: by a lock, by a lack of "
    "connections, or by slow statements.",
)
SCHEDULER = Reason(
    "scheduler",
    "airflow",
    Patience.NORMAL,
    "max_tis_per_query, number of schedulers",
    "Nothing stands in the way: the scheduler has not come to it yet.",
)
NO_WORKER = Reason(
    "no_worker", "queue", Patience.NEVER, "start a worker with this queue", "No worker serves the queue of the task."
)
WORKERS_FULL = Reason(
    "workers_full",
    "queue",
    Patience.BUSY,
    "worker_concurrency, or more workers for the queue",
    "All workers that serve the queue are busy.",
)
STARTING = Reason(
    "starting",
    "queue",
    Patience.NORMAL,
    "none",
    "The task was handed to the executor a moment ago and is being started.",
)
NOT_STARTED = Reason(
    "not_started",
    "queue",
    Patience.NORMAL,
    "workers of the queue; see the executor's and the workers' logs",
    "The executor has had the task for longer than a start takes, and what holds it up is not known to the exporter.",
)
RETRY_DELAY = Reason(
    "retry_delay",
    "task",
    Patience.NORMAL,
    "retry_delay, retry_exponential_backoff",
    "The task failed and waits for its retry.",
)
SENSOR = Reason(
    "sensor", "task", Patience.NORMAL, "timeout and poke_interval of the sensor", "A sensor waits for its next check."
)
TRIGGER = Reason(
    "trigger",
    "task",
    Patience.NORMAL,
    "the trigger's timeout; the triggerer",
    "The task is deferred: its trigger has not fired.",
)
HUMAN_INPUT = Reason(
    "human_input",
    "task",
    Patience.NORMAL,
    "respond to the task's required action",
    "The task waits for a person's response.",
)
RESTARTING = Reason(
    "restarting", "task", Patience.NORMAL, "none", "The task was cleared while it ran and is being stopped."
)
MAX_ACTIVE_RUNS = Reason(
    "max_active_runs",
    "dag",
    Patience.BUSY,
    "max_active_runs of the DAG",
    "As many runs of the DAG are running as max_active_runs allows.",
)
BACKFILL_LIMIT = Reason(
    "backfill_limit",
    "dag",
    Patience.BUSY,
    "max_active_runs of the backfill",
    "As many runs of the backfill are running as its max_active_runs allows, or the backfill is paused.",
)
NOT_DUE = Reason("not_due", "dag", Patience.NORMAL, "none", "The run is due at a later time.")
PAST = Reason(
    "past",
    "task",
    Patience.NEVER,
    "clear the failed task of the earlier run, or mark it as success",
    "The task depends on its instance in the run before (depends_on_past, wait_for_downstream), which did not succeed.",
)
UPSTREAM = Reason(
    "upstream",
    "task",
    Patience.BUSY,
    "none",
    "The run goes on only after a task that is not part of the run, or was removed from the DAG.",
)
TRIGGER_RULE = Reason(
    "trigger_rule",
    "task",
    Patience.BUSY,
    "trigger_rule of the task",
    "All tasks before it have ended, but not in the states that the task's trigger rule asks for.",
)
AUTO_PAUSED = Reason(
    "auto_paused",
    "dag",
    Patience.NEVER,
    "fix the cause, then unpause the DAG; max_consecutive_failed_dag_runs",
    "The scheduler paused the DAG, because as many runs in a row failed as max_consecutive_failed_dag_runs allows.",
)
FILE_BROKEN = Reason(
    "file_broken",
    "file",
    Patience.NEVER,
    "fix the import error of the file",
    "The DAG's file cannot be imported, so Airflow works with an old version of the DAG or with none.",
)
FILE_STALE = Reason(
    "file_stale",
    "file",
    Patience.BUSY,
    "the DAG processor; the folder or bundle of the file",
    "The DAG's file has not been parsed for long, though other files are.",
)
ASSET = Reason(
    "asset",
    "asset",
    Patience.NEVER,
    "the DAG that updates the asset",
    "The DAG waits for an asset whose producer failed, is paused, or does not exist.",
)
SLOWER_THAN_SCHEDULE = Reason(
    "slower_than_schedule",
    "dag",
    Patience.BUSY,
    "schedule of the DAG, max_active_runs, or faster runs",
    "A run of the DAG takes longer than the time between two runs, so runs are late or skipped.",
)
HANGS = Reason(
    "hangs",
    "task",
    Patience.BUSY,
    "execution_timeout of the task; see its log",
    "The task has been running for far longer than it ever took.",
)
STARVED_OF_CPU = Reason(
    "starved_of_cpu",
    "task",
    Patience.BUSY,
    "parallelism or worker_concurrency, or more CPUs",
    "The task gets far less CPU than it used before, while the machine has none to spare.",
)
POLLS = Reason(
    "polls",
    "task",
    Patience.NORMAL,
    "mode='reschedule' or deferrable=True of the sensor",
    "A sensor holds a slot while it waits.",
)
NO_HEARTBEAT = Reason(
    "no_heartbeat",
    "task",
    Patience.BUSY,
    "the worker of the task: memory, network, restarts",
    "The task is shown as running, but its process no longer exists.",
)
ORPHAN = Reason(
    "orphan",
    "task",
    Patience.NEVER,
    "end the process; look for what killed its supervisor",
    "A process still works for a try that is no longer running, so its work may be done twice.",
)

REASONS = tuple(one for one in list(globals().values()) if isinstance(one, Reason))
"""All of them, in the order in which the checks are made."""
