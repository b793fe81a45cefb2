"""How many lines are exposed at 2,000 DAGs of 10 tasks: at most 200,000, and 60,000 where tasks are not told apart.

Every task has succeeded, one in ten has also failed and been retried; every tenth DAG has had a failed run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from exporter.collect.histograms import get_buckets
from exporter.config.dag_filter import DagFilter
from exporter.config.settings import AirflowSettings, Settings
from exporter.metrics.catalogue.families import FAMILIES
from exporter.metrics.reading import Change
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.dags import Dag
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.counting.changes import to_changes
from exporter.sources.airflow.counting.decision import EndedTry, TerminalState, TryOutcome
from exporter.sources.airflow.readers.dags import dag_tables
from exporter.sources.airflow.readers.history import DagHistory, history_tables
from exporter.sources.airflow.readers.runs import run_changes
from exporter.sources.airflow.readers.runs import state_tables as run_tables
from exporter.sources.airflow.readers.tasks import state_tables as task_tables
from exporter.sources.airflow.source import LEDGER
from exporter.store.exposition import Format, render
from exporter.store.ledger import Ledger
from exporter.store.store import Store

DAGS = [f"team_{number % 40}_pipeline_{number}" for number in range(2_000)]
ACTIVE = 300


def make_row(dag_id: str, task: int, state: str) -> TaskInstance:
    return TaskInstance(
        dag_id=dag_id, task_id=f"task_{task}", run_id="r", state=state, try_number=1, pool=f"pool_{task % 4}",
        queue=f"queue_{task % 3}", scheduled_when=1.0, queued_when=2.0, start_date=3.0, end_date=70.0, pid=1,
    )  # fmt: skip


def end_tasks(dag_filter: DagFilter) -> Iterator[Change]:
    for number, dag_id in enumerate(DAGS):
        for task in range(10):
            row = make_row(dag_id, task, "success")
            yield from to_changes(EndedTry(row, TryOutcome.SUCCESS), dag_filter)
            yield from to_changes(TerminalState(row, "success"), dag_filter)
            if (number + task) % 10 == 0:
                yield from to_changes(EndedTry(row, TryOutcome.RETRIED), dag_filter)
                yield from to_changes(EndedTry(row, TryOutcome.FAILED), dag_filter)
                yield from to_changes(TerminalState(row, "failed"), dag_filter)


def end_runs(dag_filter: DagFilter) -> Iterator[Change]:
    for number, dag_id in enumerate(DAGS):
        for state in ("success", "failed") if number % 10 == 0 else ("success",):
            run = DagRun(
                dag_id=dag_id, run_id="r", run_type="scheduled", state=state,
                start_date=2.0, end_date=90.0, run_after=1.0,
            )  # fmt: skip
            yield from run_changes(run, dag_filter, again=False, count_from=0.0)


def fill(settings: AirflowSettings) -> Store:
    """A store as the readers fill it."""
    dag_filter = DagFilter(settings)
    store = Store(FAMILIES)
    ledger = Ledger(LEDGER, cap=store.cap, buckets=get_buckets(Settings(airflow=settings)))
    ledger.seed_closed()
    for table in ledger.tables.values():
        store.attach(table)
    ledger.publish(ledger.stage([*end_tasks(dag_filter), *end_runs(dag_filter)]))
    dags = [
        Dag(
            dag_id=dag_id, max_active_runs=16, max_active_tasks=16, next_run=5.0, last_parse_duration=0.2, owners=("a",)
        )
        for dag_id in DAGS
    ]
    history = DagHistory(True, "success", 90.0, 90.0, 80.0, 0)
    store.publish(dag_tables(dags, 3))
    store.publish(history_tables(dict.fromkeys(DAGS, history), None))
    rows = [make_row(dag_id, 1, state) for dag_id in DAGS[:ACTIVE] for state in ("running", "scheduled")]
    store.publish(task_tables(rows))
    active = [
        DagRun(dag_id=dag_id, run_id="n", run_type="scheduled", state="running", start_date=2.0, run_after=1.0)
        for dag_id in DAGS[:ACTIVE]
    ]
    store.publish(run_tables(active))
    return store


@pytest.mark.slow
@pytest.mark.parametrize(("task_labels", "budget"), [(True, 200_000), (False, 60_000)])
def test_lines_stay_within_the_budget(task_labels: bool, budget: int, golden: Callable[[str, bytes], None]) -> None:
    store = fill(AirflowSettings(task_labels=task_labels))
    text = b"".join(render(store, Format.TEXT, reveal_all=True, mark_exposed=False))
    lines = sum(1 for line in text.splitlines() if not line.startswith(b"#"))
    assert lines <= budget
    golden(f"budget-{'with' if task_labels else 'without'}-task-labels.txt", f"{lines}\n".encode())
