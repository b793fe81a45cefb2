"""The disturbances of a run and their times: actions of a user, network faults, outages, kills, clock steps."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from demo.airflow import Airflow
from demo.parts import API_SERVER
from tests.e2e.exactness.audit import COMMIT_SECONDS, polls
from tests.e2e.exactness.console import Console
from tests.e2e.exactness.database import Database, quote
from tests.e2e.exactness.proxy import Faults, Proxy
from tests.e2e.exactness.subject import Subject

MILD = Faults(delayed=0.10, delay_seconds=1.0, cut=0.03, failed=0.05)
ROUGH = Faults(delayed=0.10, delay_seconds=2.0, cut=0.08, failed=0.15)
MAX_COMMIT_DELAY = 2.0
"""Seconds by which a commit may follow the end date, at most."""
MAX_SEEN_SECONDS = 150.0
"""For how many seconds a step waits until a poll has seen what it will change."""
ENDED = "('success', 'failed', 'skipped', 'upstream_failed')"


class Disturbance(NamedTuple):
    """A disturbance and the objects that it changed; times are Unix seconds."""

    name: str
    began: float
    ended: float
    keys: tuple[str, ...]

    def __str__(self) -> str:
        touched = f": {', '.join(self.keys)}" if self.keys else ""
        clock = time.strftime("%H:%M:%S", time.localtime(self.began))
        return f"{clock} {self.name} ({self.ended - self.began:.1f} s){touched}"


@dataclass
class RunContext:
    """Everything that a disturbance may change."""

    airflow: Airflow
    console: Console
    database: Database
    proxy: Proxy
    subject: Subject
    seed: int = 1
    runs: dict[str, str] = field(default_factory=dict)
    """The newest run that the test itself started, by DAG."""
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def counted(self, table: str) -> str:
        """SQL: whether a complete poll has seen the end of a row, and that poll is certainly committed."""
        exchanges, unwritten = self.proxy.exchanges(), self.subject.unwritten
        known = [polls(exchanges, endpoint, unwritten) for endpoint in ("/taskInstances", "/dagRuns")]
        edge = time.time() - COMMIT_SECONDS
        seen = [max((one.began for one in each if one.sound and one.ended < edge), default=0.0) for each in known]
        return f"{table}.end_date < to_timestamp({min(seen) - MAX_COMMIT_DELAY})"

    def wait_seen(self, dag_id: str, run_id: str) -> None:
        """Wait until the exporter has seen a run as it is now, as a user who clears a task has seen it."""
        changed = (
            "select extract(epoch from max(at))::float8 from e2e_change "
            f"where content->>'dag_id' = {quote(dag_id)} and content->>'run_id' = {quote(run_id)}"
        )
        edge = float(self.database.value(changed) or 0.0) + MAX_COMMIT_DELAY
        end = time.monotonic() + MAX_SEEN_SECONDS
        while time.monotonic() < end:
            known = polls(self.proxy.exchanges(), "/taskInstances", self.subject.unwritten)
            later = [one.began for one in known if one.began > edge]
            if later and later[0] < self._last_success():
                return
            time.sleep(0.5)

    def _last_success(self) -> float:
        """When the reader of task instances last succeeded (Unix seconds); 0 while the exporter does not answer."""
        with suppress(OSError, ValueError):
            return self.subject.last_success(self.subject.scrape(), "tasks")
        return 0.0


Action = Callable[[RunContext], Sequence[str] | None]


class Step(NamedTuple):
    """An action, and after which share of the run's time it happens."""

    share: float
    name: str
    action: Action


# ---- actions of a user -----------------------------------------------------------------------------------------------


def trigger(dag_id: str, **conf: Any) -> Action:
    """Start a run."""

    def act(context: RunContext) -> Sequence[str]:
        context.runs[dag_id] = context.console.trigger(dag_id, conf)
        return [f"{dag_id} {context.runs[dag_id]}"]

    return act


def clear_finished(count: int) -> Action:
    """Clear task instances of any kind that ended a while ago."""

    def act(context: RunContext) -> Sequence[str]:
        rows = context.database.rows(
            "select distinct dag_id, run_id, task_id from task_instance join dag_run using (dag_id, run_id) "
            f"where task_instance.state in {ENDED} and dag_run.state in ('success', 'failed') "
            f"and {context.counted('task_instance')} and {context.counted('dag_run')} "
            "and dag_id not like 'steady%' order by dag_id, run_id, task_id"
        )
        chosen = context.chance.sample(rows, min(count, len(rows)))
        for number, row in enumerate(chosen):
            context.console.clear(row["dag_id"], row["run_id"], [row["task_id"]], downstream=number % 2 == 0)
        return [f"{row['dag_id']} {row['run_id']} {row['task_id']}" for row in chosen]

    return act


def clear(dag_id: str, *tasks: str, downstream: bool = False, by_command: bool = False) -> Action:
    """Clear tasks of the run that the test started, in any state."""

    def act(context: RunContext) -> Sequence[str]:
        run_id = context.runs[dag_id]
        context.wait_seen(dag_id, run_id)
        states = look(context, dag_id, run_id)
        while not context.console.is_3 and not by_command and set(tasks) & running(states):
            time.sleep(0.5)  # the API of 2.x does not clear a running task: the row stays as it was
            states = look(context, dag_id, run_id)
        if by_command:
            date = context.database.value(
                f"select {'logical_date' if context.console.is_3 else 'execution_date'} from dag_run "
                f"where dag_id = {quote(dag_id)} and run_id = {quote(run_id)}"
            )
            context.console.clear_by_command(dag_id, run_id, str(date), tasks)
        else:
            context.console.clear(dag_id, run_id, tasks, downstream=downstream)
        return [f"{dag_id} {row['task_id']} was {row['state']}" for row in states if row["task_id"] in tasks]

    return act


def look(context: RunContext, dag_id: str, run_id: str) -> list[dict[str, Any]]:
    """The tasks of a run and their states."""
    return context.database.rows(
        "select task_id, state from task_instance "
        f"where dag_id = {quote(dag_id)} and run_id = {quote(run_id)} order by task_id"
    )


def running(states: Sequence[dict[str, Any]]) -> set[str]:
    """The tasks that are running."""
    return {row["task_id"] for row in states if row["state"] == "running"}


def mark(was: str, becomes: str) -> Action:
    """Set the state of a task instance that ended a while ago."""

    def act(context: RunContext) -> Sequence[str]:
        rows = context.database.rows(
            "select dag_id, run_id, task_id, map_index from task_instance join dag_run using (dag_id, run_id) "
            f"where task_instance.state = '{was}' and dag_run.state in ('success', 'failed') "
            f"and {context.counted('task_instance')} and {context.counted('dag_run')} "
            "and dag_id not like 'steady%' order by dag_id, run_id, task_id, map_index"
        )
        if not rows:
            return []
        row = context.chance.choice(rows)
        context.console.mark(row["dag_id"], row["run_id"], row["task_id"], becomes, row["map_index"])
        return [f"{row['dag_id']} {row['run_id']} {row['task_id']} {row['map_index']}"]

    return act


def delete_finished(context: RunContext) -> Sequence[str]:
    """Delete a run that ended a while ago; its counters must not change."""
    rows = context.database.rows(
        "select dag_id, run_id from dag_run where state in ('success', 'failed') and dag_id like 'steady%' "
        f"and {context.counted('dag_run')} order by end_date desc limit 1"
    )
    for row in rows:
        context.console.delete_run(row["dag_id"], row["run_id"])
    return [f"{row['dag_id']} {row['run_id']}" for row in rows]


def delete_running(context: RunContext) -> Sequence[str]:
    """Delete a run while a task of it runs; Airflow 3.3 requires that the run has ended."""
    run_id = context.runs["doomed"]
    if context.console.is_3:
        context.console.mark_run("doomed", run_id, "failed")
    context.console.delete_run("doomed", run_id)
    return [f"doomed {run_id}"]


def backfill(context: RunContext) -> Sequence[str]:
    """Create runs for four past days; on 2.x that is a slow command."""
    work = threading.Thread(
        target=context.console.backfill, args=("backfilled", "2024-02-01", "2024-02-04"), name="backfill", daemon=True
    )
    work.start()
    return ["backfilled 2024-02-01 to 2024-02-04"]


# ---- faults and outages ----------------------------------------------------------------------------------------------


def stop_api(context: RunContext) -> None:
    """Stop the API server."""
    context.airflow.stop(API_SERVER)


def start_api(context: RunContext) -> None:
    """Start the API server again."""
    context.airflow.start(API_SERVER)


def disturb(faults: Faults) -> Action:
    """From now on this share of the exporter's requests fails."""

    def act(context: RunContext) -> None:
        context.proxy.faults = faults

    return act


def step_clock(offset: int) -> Action:
    """Set the exporter's clock to differ from the machine's by this many seconds."""

    def act(context: RunContext) -> Sequence[str]:
        context.subject.set_clock(offset)
        return [f"{offset:+d} s"]

    return act


def kill(context: RunContext) -> None:
    """Kill the exporter and start it again at once."""
    context.subject.kill()
    context.subject.start()


STEPS = (
    Step(0.01, "trigger a DAG", trigger("on_demand")),
    Step(0.01, "trigger a DAG that will fail later", trigger("first_failure")),
    Step(0.02, "trigger long tasks", trigger("interrupted")),
    Step(0.02, "trigger a DAG that will be deleted", trigger("doomed")),
    Step(0.02, "trigger a DAG that will shrink", trigger("shrinking")),
    Step(0.05, "backfill", backfill),
    Step(0.08, "mild faults", disturb(MILD)),
    Step(0.10, "kill the exporter", kill),
    Step(0.16, "clear finished tasks", clear_finished(6)),
    Step(0.20, "mark failed as success", mark("failed", "success")),
    Step(0.22, "mark success as failed", mark("success", "failed")),
    Step(0.24, "clear running tasks", clear("interrupted", "long", "long_without_retries", by_command=True)),
    Step(0.26, "clear a deferred and a rescheduled task", clear("interrupted", "long_deferred", "long_rescheduled")),
    Step(0.28, "clear what will shrink", clear("shrinking", "parts", downstream=True)),
    Step(0.30, "no more faults", disturb(Faults())),
    Step(0.32, "first failure of a task known to succeed", trigger("first_failure", fail=True)),
    Step(0.33, "first failure of a task never seen", trigger("never_ran_before")),
    Step(0.36, "delete a finished run", delete_finished),
    Step(0.38, "delete a running run", delete_running),
    Step(0.42, "stop the API server", stop_api),
    Step(0.48, "kill the exporter during the outage", kill),
    Step(0.545, "start the API server", start_api),
    Step(0.61, "trigger long tasks again", trigger("interrupted")),
    Step(0.62, "rough faults", disturb(ROUGH)),
    Step(0.64, "clear finished tasks under faults", clear_finished(6)),
    Step(0.66, "trigger a DAG that fails", trigger("on_demand", fail=True)),
    Step(0.74, "no more faults", disturb(Faults())),
    Step(0.76, "step the clock ahead", step_clock(+100)),
    Step(0.80, "clear running tasks again", clear("interrupted", "long", "long_without_retries", by_command=True)),
    Step(0.82, "kill the exporter while its clock is wrong", kill),
    Step(0.86, "step the clock back", step_clock(-100)),
    Step(0.93, "correct the clock", step_clock(0)),
)


def play(context: RunContext, seconds: float, report: Callable[[str], None]) -> list[Disturbance]:
    """Run the steps over this many seconds; the outage of the API lasts an eighth of it, 60 s of 8 minutes.

    A late step delays those after it, so that each lasts as long as planned.
    """
    began, events = time.monotonic(), []
    for step in STEPS:
        due = began + step.share * seconds
        time.sleep(max(0.0, due - time.monotonic()))
        began += max(0.0, time.monotonic() - due)
        start = time.time()
        keys = step.action(context) or ()
        events.append(Disturbance(step.name, start, time.time(), tuple(keys)))
        report(f"  {events[-1]}")
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    return events
