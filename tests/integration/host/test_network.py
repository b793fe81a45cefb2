"""Traffic of tasks: reported if a try has a separate network namespace, absent if it shares one."""

from __future__ import annotations

from pathlib import Path

from tests.integration.host.watch import Watch

UUIDS = ("01a20793-8496-79a0-a835-561da18df05c", "01a20793-8496-79a0-a835-561da18df05d")
DEV = "Inter-|\n face |\n    lo: 99 1 0 0 0 0 0 0 99 1\n  eth0: {received} 1 0 0 0 0 0 0 {sent} 1\n"
RECEIVED, SENT = "airflow_task_network_receive_bytes_total", "airflow_task_network_transmit_bytes_total"


def enter(watch: Watch, process: int | str, space: str) -> Path:
    """Put a process into a namespace: the same file by another name."""
    file = watch.tree.folder / f"space-{space}"
    file.touch()
    folder = watch.tree.folder / str(process)
    (folder / "ns").mkdir(exist_ok=True)
    (folder / "ns/net").hardlink_to(file)
    return folder


def start_tasks(watch: Watch) -> None:
    for number, uuid in enumerate(UUIDS):
        watch.directory.record_try("etl", f"task_{number}", uuid)
        watch.tree.add(10 + number, 1, f"airflow worker -- LocalExecutor: {uuid}")
        watch.tree.add(20 + number, 10 + number, f"airflow worker -- {uuid}", start=2000)
    for process in ("self", 10, 11):
        enter(watch, process, "common")


def test_a_try_with_a_namespace_of_its_own_has_traffic_without_loopback(watch: Watch) -> None:
    start_tasks(watch)
    for number in range(2):
        folder = enter(watch, 20 + number, f"own-{number}")
        (folder / "net").mkdir()
        (folder / "net/dev").write_text(DEV.format(received=1000 + number, sent=10))
    watch.full_scan()
    (watch.tree.folder / "20/net/dev").write_text(DEV.format(received=5000, sent=70))
    watch.full_scan()
    assert watch.sums[RECEIVED, ("etl", "task_0")] == 5000
    assert watch.sums[SENT, ("etl", "task_0")] == 70
    assert watch.sums[RECEIVED, ("etl", "task_1")] == 1001


def test_tries_that_share_a_namespace_have_no_traffic_rather_than_none(watch: Watch) -> None:
    start_tasks(watch)
    for pid in (20, 21):
        folder = enter(watch, pid, "shared")
        (folder / "net").mkdir()
        (folder / "net/dev").write_text(DEV.format(received=1000, sent=10))
    watch.full_scan(2)
    assert not [key for key in watch.sums if key[0] in (RECEIVED, SENT)]


def test_tries_in_the_machines_namespace_have_no_traffic(watch: Watch) -> None:
    start_tasks(watch)
    for pid in (20, 21):
        enter(watch, pid, "common")
    watch.full_scan(2)
    assert not [key for key in watch.sums if key[0] in (RECEIVED, SENT)]
