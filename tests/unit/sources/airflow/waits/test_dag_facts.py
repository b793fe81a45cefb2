"""DAGs that do not run: who paused one, and how a producer's last run ended, asked for where no list says it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exporter.diagnosis.waits.assets import AssetState, ProducerRun
from exporter.diagnosis.waits.dags import AutoPause, Schedules
from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.details.event_logs import Pause
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.dags import Dag
from exporter.sources.airflow.api.paging import Rows
from exporter.sources.airflow.readers.history import DagHistory
from exporter.sources.airflow.shared import AirflowState
from exporter.sources.airflow.waits.asks import Asks
from exporter.sources.airflow.waits.dag_facts import MAX_PAUSES_PER_READING, DagFacts
from exporter.sources.airflow.waits.questions import QuestionBudget
from tests.unit.diagnosis.rows import NOW, run


class Airflow:
    """An Airflow that says who paused a DAG, and which runs it had."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.pause: Pause | None = Pause("scheduler", "paused", NOW - 60)
        self.refuses = False
        self.runs: Sequence[DagRun] = ()
        self.shared = AirflowState()
        self.questions = QuestionBudget(lambda: 0.0)
        asks = Asks(lambda *_: (), lambda *_: Rows(), lambda _: (), self.read_runs, self.read_pause)
        self.facts = DagFacts(self.questions, asks, self.shared, complete=True)

    def read_pause(self, dag_id: str) -> Pause | None:
        self.asked.append(dag_id)
        if self.refuses:
            raise ReaderError("forbidden", "no permission")
        return self.pause

    def read_runs(self, dag_id: str) -> Sequence[DagRun]:
        self.asked.append(dag_id)
        return self.runs

    def show(self, *dags: Dag) -> None:
        self.shared.dags = {dag.dag_id: dag for dag in dags}

    def gather(self, now: float = NOW) -> Schedules:
        self.questions.begin()
        found = self.facts.gather(now)
        assert found is not None
        return found


def paused(dag_id: str = "orders", **more: Any) -> Dag:
    fields: dict[str, Any] = {"dag_id": dag_id, "is_paused": True, "max_consecutive_failed_dag_runs": 3}
    return Dag(**(fields | more))


def test_before_the_dags_were_listed_nothing_is_known() -> None:
    assert Airflow().facts.gather(NOW) is None


def test_a_paused_dag_that_failed_runs_may_pause_is_asked_for_once() -> None:
    airflow = Airflow()
    airflow.show(paused(), paused("by_hand", max_consecutive_failed_dag_runs=0))
    airflow.shared.histories = {"orders": DagHistory(consecutive_failed=3)}
    assert airflow.gather().auto_paused == {"orders": AutoPause(NOW - 60, 3)}
    airflow.gather()
    assert airflow.asked == ["orders"]


def test_a_pause_by_a_user_is_none_of_the_scheduler() -> None:
    for pause in (Pause("admin", "paused"), Pause("scheduler", "patch_dag"), None):
        airflow = Airflow()
        airflow.pause = pause
        airflow.show(paused())
        assert airflow.gather().auto_paused == {}


def test_a_dag_that_is_paused_again_is_asked_for_again() -> None:
    airflow = Airflow()
    airflow.show(paused())
    airflow.gather()
    airflow.show(paused(is_paused=False))
    airflow.gather()
    airflow.show(paused())
    airflow.gather()
    assert airflow.asked == ["orders", "orders"]


def test_a_dag_that_was_unpaused_and_paused_between_two_lists_is_asked_for_again() -> None:
    airflow = Airflow()
    airflow.show(paused())
    airflow.pause = Pause("admin", "paused")
    airflow.shared.histories = {"orders": DagHistory(last_end=NOW - 500, consecutive_failed=2)}
    assert airflow.gather().auto_paused == {}
    airflow.pause = Pause("scheduler", "paused", NOW - 60)
    airflow.shared.histories = {"orders": DagHistory(last_end=NOW - 60, consecutive_failed=3)}
    assert airflow.gather().auto_paused == {"orders": AutoPause(NOW - 60, 3)}


def test_the_next_run_of_a_dag_is_free_since_its_last_run_ended_or_it_was_unpaused() -> None:
    airflow = Airflow()
    airflow.show(paused(), Dag(dag_id="ran"), Dag(dag_id="never_ran"))
    airflow.shared.histories = {"ran": DagHistory(last_state="success", last_end=NOW - 5)}
    assert airflow.gather().freed == {"ran": NOW - 5}
    airflow.show(paused(is_paused=False), Dag(dag_id="ran"), Dag(dag_id="new"))
    assert airflow.gather(NOW + 60).freed == {"orders": NOW + 60, "ran": NOW - 5, "new": NOW + 60}


def test_few_dags_are_asked_for_in_one_reading() -> None:
    airflow = Airflow()
    airflow.show(*(paused(f"d{number}") for number in range(12)))
    airflow.gather()
    assert len(airflow.asked) == MAX_PAUSES_PER_READING


def test_without_the_permission_failed_runs_in_a_row_decide() -> None:
    airflow = Airflow()
    airflow.refuses = True
    airflow.show(paused(), paused("few_failures"))
    failed = {"orders": DagHistory(consecutive_failed=3), "few_failures": DagHistory(consecutive_failed=1)}
    airflow.shared.histories = failed
    assert airflow.gather().auto_paused == {"orders": AutoPause(None, 3)}


ASSET = AssetState("a", ["consumer"], [("orders", "make")])
FAILED = run("failed", "r7", start_date=10.0, end_date=20.0)


def test_a_producer_is_asked_for_unless_its_last_run_succeeded() -> None:
    airflow = Airflow()
    airflow.runs = [FAILED]
    airflow.shared.assets = [ASSET]
    airflow.show(Dag(dag_id="orders"))
    airflow.shared.histories = {"orders": DagHistory(last_state="success", last_end=5.0)}
    assert airflow.gather().producer_runs == {}
    airflow.shared.histories = {"orders": DagHistory(last_state="failed", last_end=20.0)}
    assert airflow.gather().producer_runs == {"orders": ProducerRun("r7", 10.0, 20.0)}
    airflow.gather()
    assert airflow.asked == ["orders"], "an answer holds until another run ends"
    airflow.shared.histories = {"orders": DagHistory(last_state="failed", last_end=30.0)}
    airflow.gather()
    assert airflow.asked == ["orders", "orders"]


def test_a_producer_that_runs_again_or_has_succeeded_since_holds_nothing_up() -> None:
    for newest in (run("running", "r8"), run("success", "r8", start_date=30.0, end_date=40.0)):
        airflow = Airflow()
        airflow.runs = [newest, FAILED]
        airflow.shared.assets = [ASSET]
        airflow.show(Dag(dag_id="orders"))
        assert airflow.gather().producer_runs == {}


def test_what_is_late_is_measured_when_the_dags_were_listed() -> None:
    airflow = Airflow()
    airflow.show(Dag(dag_id="orders"))
    assert airflow.gather(NOW).now == NOW
    assert airflow.gather(NOW + 50).now == NOW
    airflow.show(Dag(dag_id="orders"))
    assert airflow.gather(NOW + 100).now == NOW + 100
