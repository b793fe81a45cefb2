"""What a slot costs on a machine, and how many more tasks it has room for."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence

import pytest

from exporter.diagnosis.costs.sizing import size_hosts
from exporter.diagnosis.report import MachineRoom, ObservedTries, TryUse, to_json
from exporter.diagnosis.waits.running import Machine
from exporter.sources.directory import Directory

MIB = 1024.0**2
ENDED = [TryUse(60.0, 30.0, 200 * MIB)] * 19 + [TryUse(600.0, 30.0, 900 * MIB)]
"""Half a CPU for a minute; the last one waits for most of its ten minutes, and is the only large one."""
ROOM = MachineRoom(8.0, 2.0, 10_000 * MIB, 4_000 * MIB)


def observe(
    ended: Sequence[TryUse] = (), room: MachineRoom | None = ROOM, running: Mapping[str, TryUse] | None = None
) -> ObservedTries:
    return ObservedTries(deque(ended), running or {}, ("worker-1",), room)


def test_a_slot_costs_what_tries_use_and_the_machine_has_room_for_the_rest() -> None:
    [one] = size_hosts(observe(ENDED, running={"a": TryUse(0.0, 1.0, 200 * MIB, 150 * MIB)}), {}, is_current=True)
    assert one.cpu == pytest.approx(600 / 1740)
    assert one.memory == 200 * MIB
    # 95 % of eight CPUs without two; 4,000 MiB without 500 that stay free and 50 that the running try may still take.
    assert one.more_by_cpu == int(5.6 / (600 / 1740))
    assert one.more_by_memory == 17
    assert one.more == 16
    assert one.unknown == []
    assert "from the last 20 tries that ended here; 1 run now" in one.evidence


def test_a_full_machine_has_room_for_none() -> None:
    [one] = size_hosts(observe(ENDED, MachineRoom(8.0, 7.9, 10_000 * MIB, 100 * MIB)), {}, is_current=True)
    assert (one.more_by_cpu, one.more_by_memory, one.more) == (0, 0, 0)


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (observe(), "5 tries must have ended while this exporter ran (0 so far)"),
        (observe([TryUse(9.0, 1.0, 0)] * 9), "CAP_SYS_PTRACE"),
        (observe(ENDED, None), "without --no-host.machine"),
        (observe(ENDED, ROOM._replace(used_cpus=None)), "two readings of the machine"),
        (observe(ENDED, ROOM._replace(other_limits=["scheduler"])), "different limits (scheduler)"),
    ],
)
def test_what_is_not_known_is_said_with_what_would_make_it_known(observed: ObservedTries, expected: str) -> None:
    [one] = size_hosts(observed, {}, is_current=True)
    assert expected in " ".join(one.unknown)


def test_without_the_host_source_nothing_is_known() -> None:
    for observed in (ObservedTries(), observe(ENDED)):
        [one] = size_hosts(observed, {}, is_current=False)
        assert (one.cpu, one.memory, one.more) == (None, None, None)
        assert "run this exporter with --collector.host" in one.unknown[0]


def test_machines_that_are_not_seen_are_named() -> None:
    directory = Directory()
    directory.task_hosts = {"uuid-1": "pod-a", "uuid-2": "pod-b"}
    assert [one.host for one in directory.measure_slots()] == ["pod-a", "pod-b"]
    # A try that runs here shows that pod-a is this machine.
    directory.record_machine(Machine(frozenset(), {}))
    directory.observed_tries = observe(ENDED, running={"uuid-1": TryUse(0.0, 1.0, 200 * MIB)})
    here, there = directory.measure_slots()
    assert (here.host, here.tries, here.running, here.more is not None) == ("worker-1", 20, 1, True)
    assert (there.host, there.more) == ("pod-b", None)
    assert "run the exporter there with --collector.host" in there.unknown[0]


def test_it_is_part_of_the_json_before_anything_was_diagnosed() -> None:
    found = json.loads(json.dumps(to_json(None, size_hosts(observe(ENDED), {}, is_current=True))))
    assert found["time"] is None
    assert found["sizing"][0]["host"] == "worker-1"
    assert found["sizing"][0]["more"] == found["sizing"][0]["more_by_cpu"] == 16
