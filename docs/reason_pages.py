"""The runbook pages Reasons and ErrorClasses: one section for each, generated from the declarations and these texts."""

from __future__ import annotations

from typing import NamedTuple

from exporter.diagnosis.error_classes import CLASSES
from exporter.diagnosis.reasons import REASONS, Patience


class Advice(NamedTuple):
    """What a section says beside the declaration."""

    see: str
    """Where to see it."""
    change: str
    """What to change, with a value."""
    beware: str
    """When not to."""


POOL_PAGE = "Admin, Pools in Airflow, and the dashboard *Concurrency and pools*"
GRID = "the run's grid in Airflow"
REASON_ADVICE = {
    "dag_paused": Advice(
        "the switch beside the DAG's name in Airflow.",
        "unpause the DAG, or mark its unfinished runs as failed so that they do not start later.",
        "it was paused on purpose, for example during a repair.",
    ),
    "dag_removed": Advice(
        "the DAG's page in Airflow, which says that it is not active; `airflow dags list-import-errors`.",
        "bring back the file that has the DAG, correct its import error, or undo the new name; if the DAG is gone for "
        "good, mark its runs as failed and delete it (`airflow dags delete`).",
        "a deployment is under way: the DAG comes back with the next parse of its file. Deleting a DAG deletes its "
        "history.",
    ),
    "run_not_running": Advice(
        "the state of the run in its grid: queued.",
        "see [max_active_runs](#max_active_runs): the run waits for it.",
        "you think of pools or parallelism: the tasks do not wait for them.",
    ),
    "pool_missing": Advice(
        f"{POOL_PAGE}: the pool is not in the list.",
        "create the pool with at least the slots that its largest task asks for, or correct `pool` of the task.",
        "the name is a typing error: creating the pool would hide it.",
    ),
    "pool_without_slots": Advice(
        f"{POOL_PAGE}: 0 slots.",
        "give the pool slots.",
        "it was set to 0 to stop its tasks.",
    ),
    "pool_too_small": Advice(
        "`pool_slots` of the task beside the slots of its pool.",
        "raise the slots to the `pool_slots` of the largest task, or lower `pool_slots`.",
        "the pool protects a system that cannot carry more: then split the task.",
    ),
    "pool": Advice(
        f"{POOL_PAGE}: open slots 0. `/diagnosis` names the DAGs that hold them.",
        "add as many slots as wait, at most twice the present number; watch the system behind the pool.",
        "that system is at its limit, or one task that hangs holds the slots.",
    ),
    "priority": Advice(
        "`priority_weight` of what waits and of what runs in the pool.",
        "raise `priority_weight` of what is overtaken above that of the others, or set "
        '`weight_rule="absolute"` so that long DAGs do not add up their weights.',
        "the order is intended: then only more slots help.",
    ),
    "max_active_tasks": Advice(
        "running and queued tasks of the DAG (Airflow 3: of one run) beside the DAG's `max_active_tasks`.",
        "raise `max_active_tasks` by what waits, at most to twice its value.",
        "parallelism or the pool is full too: the tasks would only wait there.",
    ),
    "max_active_tis": Advice(
        "running instances of the task over all runs.",
        "raise `max_active_tis_per_dag` (all runs) or `max_active_tis_per_dagrun` (one run) by one or two.",
        "the limit keeps the task from running twice at once on the same data.",
    ),
    "parallelism": Advice(
        "the dashboard *Concurrency and pools*, panel *Usage of global limits*.",
        "raise `[core] parallelism` by what waits, at most to twice its value, and restart the schedulers.",
        "CPU or memory of the machines is nearly used up (AirflowHostCpuSaturated): tasks would only become slower.",
    ),
    "scheduler": Advice(
        "the dashboard *Scheduler and DAG processor*, panel *Scheduler loop duration*.",
        "raise `[scheduler] max_tis_per_query` (16) towards parallelism, or run one more scheduler.",
        "the wait is some seconds: that is the loop itself. The database is slow: that comes first.",
    ),
    "database": Advice(
        "the dashboard *Metadata database*: who blocks whom, connections beside their limit, statements.",
        "end the session that holds the lock (`pg_terminate_backend`, MySQL: `KILL`); put PgBouncer in front where "
        "connections run out; run `airflow db clean` and VACUUM where the tables are large.",
        "the session that holds the lock is a migration or a backup: it ends, and its end would have to be repeated.",
    ),
    "no_worker": Advice(
        "the dashboard *Celery and broker*, row *Queues*: the queue has no worker.",
        "start a worker with `--queues NAME`, or correct `queue` of the task.",
        "the queue's machines are scaled to zero and come when a task waits.",
    ),
    "workers_full": Advice(
        "running tasks of the queue beside `worker_concurrency` times its workers.",
        "add a worker, or raise `[celery] worker_concurrency` by a quarter.",
        "CPU or memory of the workers is nearly used up.",
    ),
    "starting": Advice(
        "nothing: it starts within a minute.",
        "nothing.",
        "starts always take long: then look at the worker's CPU and at imports in the DAG file.",
    ),
    "not_started": Advice(
        "logs of the executor and of the workers of the queue.",
        "start a worker that serves the queue; on Kubernetes look at pending pods: AirflowTaskPodsPending.",
        "parallelism is fully used: then the task waits for that.",
    ),
    "retry_delay": Advice(
        f"{GRID}: up for retry.",
        "lower `retry_delay`, or set `max_retry_delay` where `retry_exponential_backoff` is on.",
        "the called system needs the pause.",
    ),
    "sensor": Advice(
        "the sensor's log: what it waits for.",
        "set `timeout` of the sensor to what is acceptable; without one it waits for a week.",
        "what it waits for is only late.",
    ),
    "trigger": Advice(
        "the task instance's trigger in Airflow, and the triggerer on the dashboard *Executor and triggerer*.",
        "give the deferrable operator a timeout; check that a triggerer runs and has room.",
        "what it waits for is only late.",
    ),
    "human_input": Advice(
        "*Required Actions* in Airflow.",
        "answer it; set `execution_timeout` and a default answer.",
        "the person is meant to decide.",
    ),
    "restarting": Advice(
        f"{GRID}: restarting.",
        "nothing: it ends within a minute.",
        "it stays so: its worker is gone, clear the task again.",
    ),
    "max_active_runs": Advice(
        "running runs of the DAG beside its `max_active_runs`; the oldest of them first.",
        "end the run that hangs; then raise `max_active_runs` by one.",
        "runs write the same data, or tasks use `depends_on_past`.",
    ),
    "backfill_limit": Advice(
        "the DAG's page *Backfills*.",
        "unpause the backfill, or create it again with a higher *Max Active Runs*.",
        "scheduled work needs the slots.",
    ),
    "not_due": Advice("*Run after* of the run.", "nothing.", "the time is wrong: then look at who created the run."),
    "past": Advice(
        "the task's instance in the run before: failed, or not run.",
        "clear that instance, or mark it as success.",
        "its data is needed: repair it first, because later runs build on it.",
    ),
    "upstream": Advice(
        f"{GRID}: a task without a state, and what comes before it.",
        "clear the run so that it takes the new version of the DAG, or mark it as failed.",
        "the run has work of which the result is still needed.",
    ),
    "trigger_rule": Advice(
        f"{GRID}: a task without a state whose predecessors have all ended.",
        "correct `trigger_rule`, for example `none_failed_min_one_success` after a branch, then clear the task.",
        "the predecessors failed: correct these.",
    ),
    "auto_paused": Advice(
        "the audit log of the DAG: `paused` by the scheduler.",
        "correct what made its last runs fail, then unpause it; "
        "a higher `max_consecutive_failed_dag_runs` gives more time.",
        "the cause is not known yet: it would be paused again.",
    ),
    "file_broken": Advice(
        "*DAG Import Errors* in Airflow.",
        "correct the error; try it with `python FILE` on a machine with the DAG processor's packages.",
        "the file is being deployed: wait for one round.",
    ),
    "file_stale": Advice(
        "*Last parsed* of the DAG, and the dashboard *Scheduler and DAG processor*, row *DAG processor*.",
        "check that the DAG processor sees the folder or bundle; more `parsing_processes` shorten a round.",
        "the DAG was removed: delete it.",
    ),
    "asset": Advice(
        "*Assets* in Airflow: the last event, and the task that produces it.",
        "repair or unpause the producer; create an event by hand if its data is there.",
        "the producer is only late.",
    ),
    "slower_than_schedule": Advice(
        "duration of its runs beside the time between two of them.",
        "make the schedule longer than the 95th percentile of the duration, or split the DAG.",
        "its tasks mostly wait for a limit: raise that first.",
    ),
    "hangs": Advice(
        "the task's log stands still; `py-spy dump --pid PID` shows where.",
        "set `execution_timeout` to three times what the task usually takes, and timeouts in its clients.",
        "it has more to do than usual: then it uses CPU.",
    ),
    "starved_of_cpu": Advice(
        "the dashboard *Workers and hosts*, panels *CPU usage* and *Pressure: some waiting*.",
        "lower `parallelism` or `worker_concurrency` by a quarter, or add CPUs.",
        "you think of raising parallelism: that makes it worse.",
    ),
    "polls": Advice(
        "sensors in mode `poke` among the running tasks.",
        'set `mode="reschedule"`, or `deferrable=True`.',
        "it checks every few seconds: rescheduling costs more than the slot.",
    ),
    "no_heartbeat": Advice(
        "the worker's log at the time of the last heartbeat.",
        "find out what ended the process: memory, a restart, a deployment.",
        "you think of raising `task_instance_heartbeat_timeout`: that only delays what Airflow does about it.",
    ),
    "orphan": Advice(
        "a task's process on the machine whose parent is process 1.",
        "end the process, check what it has written, then look for what killed its supervisor.",
        "the task cannot be interrupted safely: let it end, and mark the try as success.",
    ),
}
"""By the name of the reason."""
CLASS_BEWARE = {
    "network": "the address is wrong: no retry corrects it.",
    "timeout": "the task hangs: a longer limit only makes it hang longer.",
    "memory": "the task reads all of its data at once: more memory lasts only until the data has grown.",
    "database": "locks are the cause: more tasks at once make it worse.",
    "killed": "Airflow itself stopped the task because it was cleared or marked.",
    "dependency": "it says that permission is missing: retries may lock the account.",
    "configuration": "the name is a typing error: creating what is missing would hide it.",
    "disk": "the logs are needed for an audit: move them instead of deleting them.",
    "code": "you hope for a retry: the same code meets the same data.",
    "command": "you do not know yet what the exit code means: a retry only repeats it.",
    "unknown": "the logs are gone: nothing brings them back; look at log retention.",
}
"""When the suggestion of a class does not help, by its name."""
PATIENCE = {
    Patience.NEVER: "Waiting does not help.",
    Patience.BUSY: "Look at it if it lasts.",
    Patience.NORMAL: "Part of normal work, unless it lasts.",
}


def write_reason_page() -> str:
    """The page Reasons.md."""
    sections = [
        (
            "# Reasons\n\nWhy something waits or does not run: each reason of the diagnosis, with where to see it, "
            "what to change, and when not to. `/diagnosis` of the exporter shows those that hold now."
        )
    ]
    for reason in REASONS:
        advice = REASON_ADVICE[reason.name]
        sections.append(
            f"## {reason.name}\n\n{reason.meaning} {PATIENCE[reason.patience]}\n\n"
            f"- Setting: {reason.setting}\n- See: {advice.see}\n- Change: {advice.change}\n- Not if: {advice.beware}"
        )
    return "\n\n".join(sections) + "\n"


def write_class_page() -> str:
    """The page ErrorClasses.md."""
    sections = [
        (
            "# ErrorClasses\n\nWhy tries fail: each class of failed tries, with the settings to look at, what to do, "
            "and when that does not help. See AirflowTasksFailing."
        )
    ]
    for one in CLASSES:
        retries = "A retry may help." if one.transient else "A retry hardly ever helps."
        sections.append(
            f"## {one.name}\n\n{one.meaning} {retries}\n\n"
            f"- Setting: {one.setting}\n- Change: {one.suggestion}\n- Not if: {CLASS_BEWARE[one.name]}"
        )
    return "\n\n".join(sections) + "\n"


PAGES = {"runbooks/Reasons.md": write_reason_page, "runbooks/ErrorClasses.md": write_class_page}
"""What writes each page, by its path in docs/."""
