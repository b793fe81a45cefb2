"""Observations of one reading: processes of this Airflow only, and what two readings have to see."""

from __future__ import annotations

from exporter.diagnosis.findings import Observations
from exporter.diagnosis.waits.running import Machine, TryProcess
from exporter.diagnosis.waits.waiting import Waiting
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.api.paging import Rows
from exporter.sources.airflow.shared import AirflowState
from exporter.sources.airflow.waits.asks import Asks
from exporter.sources.airflow.waits.observations import Observer
from exporter.sources.airflow.waits.questions import QuestionBudget
from exporter.store.persistence.state_file import StateFile
from tests.unit.diagnosis.rows import NOW, situation, task


class Scene:
    """An Airflow, and a machine that the exporter sees."""

    def __init__(self) -> None:
        self.shared = AirflowState()
        questions = QuestionBudget(lambda: 0.0)
        questions.begin()
        asks = Asks(lambda *_: (), lambda *_: Rows(), lambda _: (), lambda _: (), lambda _: None)
        self.observer = Observer(self.shared, asks, questions, StateFile(), complete=True)

    def see(self, *keys: str) -> None:
        processes = {key: TryProcess(number, 1.0, 0.0) for number, key in enumerate(keys)}
        self.shared.directory.record_machine(Machine(frozenset({"worker-1"}), processes))

    def observe(self, *rows: TaskInstance, is_new: bool = True) -> Observations:
        return self.observer.observe(situation(*rows), Waiting([], []), is_new=is_new)


RUNNING = task("running", start_date=NOW - 10, uuid=None)
KEY = "orders\0r1\0load"


def test_a_process_of_a_try_that_ended_is_an_orphan_once_two_readings_show_it() -> None:
    scene = Scene()
    scene.see(KEY)
    assert scene.observe(RUNNING).suspicions == []
    assert scene.observe().suspicions == []
    assert scene.observe(is_new=False).suspicions[0].reason.name == "orphan"
    [found] = scene.observe().suspicions
    assert (found.reason.name, found.dag_id, found.task_id) == ("orphan", "orders", "load")


def test_processes_of_a_busy_task_that_are_each_about_to_end_are_no_orphans() -> None:
    scene = Scene()
    for number in range(4):
        scene.see(f"u{number}")
        scene.shared.directory.record_try("orders", "load", f"u{number}")
        assert scene.observe().suspicions == []


def test_a_process_of_another_airflow_with_the_same_names_is_none() -> None:
    scene = Scene()
    scene.see(KEY)
    other = task("running", run_id="r2", start_date=NOW - 10, uuid=None)
    for _ in range(3):
        assert scene.observe(other).suspicions == []


def test_on_airflow_3_a_try_that_the_api_has_shown_is_known_by_its_uuid() -> None:
    scene = Scene()
    scene.see("u1")
    scene.shared.directory.record_try("orders", "load", "u1")
    scene.observe()
    [found] = scene.observe().suspicions
    assert found.reason.name == "orphan"


def test_the_time_of_the_first_check_of_a_sensor_is_remembered_while_it_is_active() -> None:
    scene = Scene()
    sensor = {"operator": "PythonSensor", "task_id": "wait"}
    scene.observe(task("up_for_reschedule", start_date=100.0, **sensor))
    scene.observe(task("scheduled", start_date=160.0, **sensor))
    found = scene.observe(task("up_for_reschedule", start_date=220.0, **sensor)).parked
    assert found is not None
    assert found.first_checks == {("orders", "r1", "wait", -1): 100.0}
    scene.observe()
    again = scene.observe(task("up_for_reschedule", start_date=300.0, **sensor)).parked
    assert again is not None
    assert again.first_checks == {("orders", "r1", "wait", -1): 300.0}
