"""Running task instances that look wrong: by their past, by their process, and never by what is not known."""

from __future__ import annotations

from typing import Any

from exporter.diagnosis.waits.running import Machine, Past, RunningTasks, Suspicion, TryProcess, find_suspicious
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from tests.unit.diagnosis.rows import NOW, task

SHORT = Past([60.0] * 10)


def find(*rows: TaskInstance, **more: Any) -> list[Suspicion]:
    return list(find_suspicious(RunningTasks(NOW, rows, **more)))


def name(found: list[Suspicion]) -> list[str]:
    return [one.reason.name for one in found]


def running(seconds: float, **more: Any) -> TaskInstance:
    return task("running", start_date=NOW - seconds, **({"uuid": "u1", "hostname": "worker-1"} | more))


def machine(process: TryProcess | None = None, **more: Any) -> Machine:
    fields: dict[str, Any] = {"host_names": frozenset({"worker-1"}), "processes": {"u1": process} if process else {}}
    return Machine(**(fields | more))


def test_a_task_without_a_known_past_is_not_suspected() -> None:
    assert find(running(100_000)) == []
    assert find(running(100_000), get_past=lambda *_: Past([60.0] * 4)) == [], "four tries are too few"


def test_far_longer_than_its_past_is_both_a_multiple_and_ten_minutes_more() -> None:
    assert find(running(600), get_past=lambda *_: SHORT) == []
    [found] = find(running(700), get_past=lambda *_: SHORT)
    assert (found.reason.name, found.since) == ("hangs", NOW - 700)
    assert found.facts == [
        "for 12 min; 95 % of its last 10 successful tries took up to 1 min",
        "whether its process uses CPU is not known: no exporter sees it together with Airflow's API",
    ]
    assert find(running(700), get_past=lambda *_: Past([600.0] * 10)) == []


def test_a_process_that_uses_cpu_does_not_hang_and_one_that_uses_none_does() -> None:
    busy, idle = TryProcess(7, 400.0, 10.0), TryProcess(7, 1.0, 650.0)
    assert find(running(700), get_past=lambda *_: SHORT, machine=machine(busy)) == []
    [found] = find(running(700), get_past=lambda *_: SHORT, machine=machine(idle))
    assert found.facts[1] == "process 7 has used no CPU for 11 min"


def test_little_cpu_on_a_machine_without_any_to_spare() -> None:
    past = Past([60.0] * 10, cpu_share=0.9)
    slow = machine(TryProcess(7, 20.0, 0.0), saturated="98% of its CPUs in use")
    [found] = find(running(100), get_past=lambda *_: past, machine=slow)
    assert found.reason.name == "starved_of_cpu"
    assert found.facts == ["0.20 CPUs instead of 0.90 as in the past", "worker-1: 98% of its CPUs in use"]
    assert find(running(100), get_past=lambda *_: past, machine=machine(TryProcess(7, 20.0, 0.0))) == []
    assert find(running(100), get_past=lambda *_: Past([60.0], 0.05), machine=slow) == [], "it never needed CPU"


def test_a_sensor_that_holds_a_slot_is_normal_unless_others_wait_for_its_pool() -> None:
    sensor = running(120, operator="S3KeySensor")
    [found] = find(sensor)
    assert (found.reason.name, found.escalated) == ("polls", False)
    [crowded] = find(sensor, crowded_pools=frozenset({"default_pool"}))
    assert crowded.escalated
    [lacking] = find(sensor, lacks_slots=True)
    assert (lacking.escalated, lacking.facts[-1]) == (True, "others wait for a slot of the executor or of a worker")
    assert find(running(30, operator="S3KeySensor")) == []


def test_a_sensor_that_polls_for_far_longer_than_in_the_past_is_more_than_normal() -> None:
    [found] = find(running(4_000, operator="S3KeySensor"), get_past=lambda *_: SHORT)
    assert found.escalated
    assert "95 %" in found.facts[1]


def test_a_try_without_a_process_on_a_machine_that_is_seen() -> None:
    [found] = find(running(300), machine=machine())
    assert (found.reason.name, found.unconfirmed) == ("no_heartbeat", "u1")
    assert find(running(60), machine=machine()) == [], "it may be starting"
    assert find(running(300, hostname="worker-2"), machine=machine()) == [], "another machine is not seen"


def test_a_process_that_lost_its_supervisor_or_whose_try_has_ended() -> None:
    [lost] = find(running(10), machine=machine(TryProcess(7, 1.0, 0.0, lost_parent=True)))
    assert (lost.reason.name, lost.unconfirmed) == ("orphan", "")
    assert "process 7" in lost.suggestion
    seen = machine(TryProcess(7, 1.0, 0.0))
    [ended] = find(task("running", uuid="u2"), machine=seen, names={"u1": ("orders", "load")})
    assert (ended.reason.name, ended.dag_id, ended.task_id, ended.unconfirmed) == ("orphan", "orders", "load", "u1")
    assert find(machine=seen) == [], "a process of another Airflow"


def test_airflow_2_has_no_uuid_so_dag_run_and_task_identify_a_process() -> None:
    seen = machine(processes={"orders\0r1\0load": TryProcess(7, 1.0, 0.0, lost_parent=True)})
    assert name(find(running(10, uuid=None), machine=seen)) == ["orphan"]
