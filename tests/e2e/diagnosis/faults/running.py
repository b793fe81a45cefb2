"""Faults of what runs, of what never comes, and of what costs more than it needs to."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from threading import Thread

from tests.e2e.diagnosis.faults.fault import make_fault
from tests.e2e.diagnosis.faults.limits import start_many, starting
from tests.e2e.diagnosis.faults.play import STATE_SECONDS, Play
from tests.e2e.exactness.database import DatabaseError
from tests.e2e.exactness.environment import wait_until

PAST_RUNS = 6
"""From which the past of a task is known."""
MEGABYTES = (20, 80, 180, 300, 450, 650)
"""What a task that leaks takes, run by run."""
SLOW_FILE = "AirflowDagFileParseSlow"
BROKEN = "AirflowImportErrors"
ASLEEP = starting("waits_for_asleep")
RESCHEDULED = starting("rescheduled_sensor")
DEFERRED = starting("deferred_task")
LONG = 360.0
"""Seconds for alerts whose shortened time is minutes."""
BURNERS = 24
LOCK_SECONDS = 75


def let_hang(play: Play) -> None:
    """A task that was quick six times hangs."""
    play.start(*["sometimes_hangs"] * PAST_RUNS)
    play.wait_runs("sometimes_hangs", "success", PAST_RUNS)
    play.start("sometimes_hangs", conf={"hang": True})
    play.wait_tasks("sometimes_hangs", "running")


def let_grow(play: Play) -> None:
    """A task takes more memory in each run."""
    for number, size in enumerate(MEGABYTES, 1):
        play.start("grows", conf={"megabytes": size})
        play.wait_runs("grows", "success", number)


def fail_producer(play: Play) -> None:
    """The task that makes an asset fails; its consumer is due on it."""
    play.pause("consumer_of_failed", False)
    play.start("failed_producer")
    play.wait_runs("failed_producer", "failed")


def pause_producer(play: Play) -> None:
    """The DAG that makes an asset has run before, and is paused; its consumer goes on waiting."""
    play.pause("consumer_of_paused", False)
    play.start("paused_producer")
    play.wait_runs("paused_producer", "success")
    play.wait_runs("consumer_of_paused", "success")
    play.pause("paused_producer")


def run_too_slowly(play: Play) -> None:
    """A run takes longer than the time between two; two have ended."""
    play.pause("slow_for_its_schedule", False)
    play.wait_runs("slow_for_its_schedule", "success", 2)


def give_up(play: Play) -> None:
    """Airflow pauses a DAG after three failed runs."""
    play.pause("gives_up", False)
    paused = "select count(*) from dag where dag_id = 'gives_up' and is_paused"
    wait_until(lambda: bool(play.database.value(paused)), STATE_SECONDS, "gives_up is paused by Airflow")


def fail_first_day(play: Play) -> None:
    """The first of several days fails, the others depend on it."""
    play.pause("on_past", False)
    play.wait_tasks("on_past", "failed")


def fail_downstream(play: Play) -> None:
    """What comes after a task fails on the first of several days; the task waits for it on the second."""
    play.pause("on_downstream", False)
    play.wait_tasks("on_downstream", "failed")


def pause_during_retry(play: Play) -> None:
    """A DAG is paused while its task waits for a retry."""
    play.start("retries_while_paused")
    play.wait_tasks("retries_while_paused", "up_for_retry")
    play.pause("retries_while_paused")


def deploy_broken_file(play: Play) -> None:
    """A new file cannot be imported, so that none of its DAGs appears."""
    play.order("new_file")


def kill_supervisor(play: Play) -> None:
    """The process that supervises a task is killed; the task goes on without it."""
    play.start("loses_its_supervisor")
    note = play.stage.orders / "supervisor"
    wait_until(lambda: note.exists() and note.read_text() != "", STATE_SECONDS, "the task has said who supervises it")
    os.kill(int(note.read_text()), signal.SIGKILL)


def rename(play: Play) -> None:
    """A DAG gets another name while a run of it is not finished."""
    play.start("old_name")
    play.wait_tasks("old_name", "up_for_reschedule")
    play.order("rename")


def parse_slowly(play: Play) -> None:
    """A DAG file asks a server that does not answer, each time that it is parsed."""
    play.order("slow_file")


def burn_alone(play: Play) -> None:
    """The past of a task that has a CPU to itself."""
    for done in range(1, PAST_RUNS + 1):
        play.start("burns")
        play.wait_runs("burns", "success", done)


def burn_together(play: Play) -> None:
    """The same task two dozen times at once."""
    play.wait_runs("burns", "success", PAST_RUNS)
    play.start(*["burns"] * BURNERS, conf={"more": 90})
    play.wait_tasks("burns", "running", BURNERS // 2)


def lock_table(play: Play) -> None:
    """A transaction holds the table of task instances for itself, as a migration or a clean-up does."""
    sql = f"lock table task_instance in access exclusive mode; select pg_sleep({LOCK_SECONDS})"

    def hold() -> None:
        with suppress(DatabaseError):  # the server may be stopped first
            play.database.execute(sql)

    Thread(target=hold, daemon=True).start()
    time.sleep(1)


WAITS = (
    make_fault(
        "a sensor that never ends", "sensor", "rescheduled_sensor.never_true", "timeout", RESCHEDULED, seconds=LONG
    ),
    make_fault(
        "a deferred task that never ends", "trigger", "deferred_task.never_there", "timeout", DEFERRED, seconds=LONG
    ),
    make_fault("a task that hangs", "hangs", "sometimes_hangs", "execution_timeout", let_hang),
    make_fault("a killed supervisor", "orphan no_heartbeat", "loses_its_supervisor", "process", kill_supervisor),
    make_fault("depends_on_past", "past", "on_past", "clear", fail_first_day),
    make_fault("wait_for_downstream", "past", "on_downstream end", "wait_for_downstream", fail_downstream),
    make_fault("a paused DAG with a retry", "dag_paused", "retries_while_paused", "unpause", pause_during_retry, None),
    make_fault("a new file that is broken", "file_broken", "new_file.py", "import error", deploy_broken_file, BROKEN),
    make_fault(
        "a sensor waits for a paused DAG", "sensor", "waits_for_asleep.wait asleep", "unpause", ASLEEP, seconds=LONG
    ),
    make_fault("a paused producer", "asset", "consumer_of_paused paused_producer", "unpause", pause_producer),
    make_fault("a failed producer", "asset", "consumer_of_failed failed_producer", "producer", fail_producer),
    make_fault("runs skipped", "slower_than_schedule", "slow_for_its_schedule", "schedule", run_too_slowly),
    make_fault("auto-pause", "auto_paused", "gives_up", "max_consecutive_failed_dag_runs", give_up),
    make_fault(
        "a DAG that was renamed", "dag_removed", "old_name", "file", rename, "AirflowDagRunBlocked", seconds=LONG
    ),
    make_fault("a file that asks a server", "file_slow", "slow_file.py", "file", parse_slowly, SLOW_FILE),
)
COSTS = (
    make_fault("memory that grows run by run", "memory_growth", "grows.swell", "memory", let_grow),
    make_fault("tasks that are too fine", "too_fine", "too_fine", "batch", starting("too_fine")),
    make_fault("everything is skipped", "all_skipped", "nothing_to_do", "skip", start_many("nothing_to_do", 4)),
)
CROWDED = (make_fault("parallelism too high", "starved_of_cpu", "burns", "parallelism", burn_together),)
LOCKED = (
    make_fault(
        "a locked table",
        "database",
        "task_instance",
        "session",
        lock_table,
        "AirflowDatabaseBlocksScheduler",
        seconds=60.0,
    ),
)
