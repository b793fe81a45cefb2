"""What the processes of tries do: CPU, idleness, and whether their supervisor is gone."""

from __future__ import annotations

from exporter.diagnosis.waits.running import Machine
from exporter.sources.directory import TaskKey
from exporter.sources.host.proc.procfs import TICKS_PER_SECOND, Stat
from exporter.sources.host.processes.owners import ComponentOwner, Owner, Try
from exporter.sources.host.processes.process import Process
from exporter.sources.host.processes.sightings import Sightings, format_key
from exporter.sources.host.processes.titles import ProcessTitle, TryIds

UUID = "019a0000-0000-7000-8000-000000000001"


def make_process(pid: int, owner: Owner | None, title: ProcessTitle | None = None, ppid: int = 5) -> Process:
    process = Process(Stat(pid, b"airflow", "S", ppid, 0, 0, 0, 1, pid, 0))
    process.owner, process.title = owner, title
    return process


class Scene:
    """A task of Airflow 3 with its supervisor."""

    def __init__(self) -> None:
        self.now = 100.0
        self.sightings = Sightings(lambda: ["worker-1"], lambda: self.now)
        self.work = Try(UUID, TaskKey("orders", "load"), uuid=UUID)
        self.supervisor = make_process(5, ComponentOwner("local_worker"), ProcessTitle("local_worker"))
        self.task = make_process(7, self.work, ProcessTitle("", TryIds(UUID)))
        self.processes = {5: self.supervisor, 7: self.task}

    def build(self) -> Machine:
        owned = [(one, one.owner) for one in self.processes.values() if one.owner is not None]
        return self.sightings.build(owned, self.processes, "98% of its CPUs in use")


def test_a_try_is_seen_with_its_pid_and_its_cpu() -> None:
    scene = Scene()
    scene.work.cpu_ticks = 3 * TICKS_PER_SECOND
    machine = scene.build()
    assert machine.host_names == {"worker-1"}
    assert machine.saturated == "98% of its CPUs in use"
    assert machine.processes == {UUID: (7, 3.0, 0.0, False)}


def test_a_try_that_uses_next_to_no_cpu_is_idle() -> None:
    scene = Scene()
    scene.build()
    for used, idle in ((0, 60.0), (TICKS_PER_SECOND // 10, 120.0), (TICKS_PER_SECOND, 0.0)):
        scene.now += 60
        scene.work.cpu_ticks += used
        assert scene.build().processes[UUID].idle_seconds == idle


def test_a_task_whose_supervisor_is_gone_has_lost_its_parent() -> None:
    scene = Scene()
    scene.task = scene.processes[7] = make_process(7, scene.work, ProcessTitle("", TryIds(UUID)), ppid=1)
    assert scene.build().processes[UUID].lost_parent
    scene.processes = {5: make_process(5, None), 7: make_process(7, scene.work, ProcessTitle("", TryIds(UUID)))}
    assert scene.build().processes[UUID].lost_parent, "in a container another process adopts it"


def test_what_a_task_starts_may_go_on_without_a_parent() -> None:
    scene = Scene()
    scene.processes[9] = make_process(9, scene.work, None, ppid=1)
    assert not scene.build().processes[UUID].lost_parent


def test_where_no_task_can_be_seen_no_name_of_the_machine_is_claimed() -> None:
    scene = Scene()
    scene.processes = {5: make_process(5, ComponentOwner("api_server"), ProcessTitle("api_server"))}
    assert scene.build().host_names == frozenset()


def test_a_task_of_airflow_2_is_known_by_dag_run_and_task() -> None:
    ids = TryIds("", "orders", "load", "manual__2026 12")
    assert format_key(ids) == "orders\0manual__2026\0load"
    assert format_key(ids._replace(run_id="manual__2026")) == "orders\0manual__2026\0load"
    scene = Scene()
    work = Try("7:7", TaskKey("orders", "load"))
    scene.processes = {5: scene.supervisor, 7: make_process(7, work, ProcessTitle("", ids))}
    assert list(scene.build().processes) == ["orders\0manual__2026\0load"]
