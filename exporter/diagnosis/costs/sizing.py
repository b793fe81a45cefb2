"""What a slot costs on a machine, and how many more running tasks it has room for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from exporter.diagnosis.report import HostSizing, MachineRoom, ObservedTries, TryUse, format_bytes

MIN_TRIES = 5
"""Tries that are needed to say what one uses."""
FULL_CPU, FULL_MEMORY = 0.95, 0.95
"""Shares of the machine that tasks may fill."""
PEAK_SHARE = 0.95
UNSEEN = (
    "run the exporter there with --collector.host: its own page /diagnosis shows that machine, and `airflow-exporter "
    "advise` all of them"
)
HOST_OFF = "run this exporter with --collector.host on a machine where tasks run"


def size_hosts(observed: ObservedTries, task_hosts: Mapping[str, str], *, is_current: bool) -> list[HostSizing]:
    """This machine, where tasks were seen on it, and the other ones on which tasks run, of which nothing is known.

    `task_hosts` has the names by UUID, as Airflow knows them; `is_current` says that the machine is read.
    """
    running = (observed.running or {}) if is_current else {}
    # Airflow may call the machine otherwise than the exporter does, for example by the name of a container.
    here = {task_hosts[uuid] for uuid in running if uuid in task_hosts}.union(observed.host_names)
    others = sorted(set(task_hosts.values()) - here) if is_current else sorted(set(task_hosts.values()))
    ended = list(observed.ended)
    found = []
    if is_current and (ended or running or not others):
        found.append(size_host(ended, list(running.values()), observed.room, observed.host_names[0]))
    found += [HostSizing(name, unknown=[f"what a slot costs, and the room: {UNSEEN}"]) for name in others]
    return found or [HostSizing(observed.host_names[0], unknown=[f"what a slot costs, and the room: {HOST_OFF}"])]


def size_host(ended: Sequence[TryUse], running: Sequence[TryUse], room: MachineRoom | None, host: str) -> HostSizing:
    """A slot of this machine."""
    cpu, memory = measure_cpu(ended), measure_memory([*ended, *running])
    by_cpu = room.count_by_cpu(cpu, FULL_CPU) if room and cpu else None
    by_memory = count_by_memory(running, room, memory) if room and memory else None
    return HostSizing(
        host,
        tries=len(ended),
        running=len(running),
        cpu=cpu,
        memory=memory,
        more_by_cpu=by_cpu,
        more_by_memory=by_memory,
        evidence=list(describe(ended, running, room)) if cpu or memory else [],
        unknown=list(list_unknown(ended, room, cpu, memory)),
    )


def measure_cpu(ended: Sequence[TryUse]) -> float | None:
    """CPUs that a running try uses on average; a long try counts for more than a short one."""
    seconds = sum(one.seconds for one in ended)
    used = sum(one.cpu_seconds for one in ended)
    return used / seconds if len(ended) >= MIN_TRIES and seconds > 0 and used > 0 else None


def measure_memory(tries: Sequence[TryUse]) -> float | None:
    """The peak that 19 of 20 tries stay below, in bytes."""
    peaks = sorted(one.peak for one in tries if one.peak)
    return float(peaks[math.ceil(PEAK_SHARE * len(peaks)) - 1]) if len(peaks) >= MIN_TRIES else None


def count_by_memory(running: Sequence[TryUse], room: MachineRoom, memory: float) -> int | None:
    """Tries that fit into the memory that is left when those that run have reached their peak too."""
    if room.memory is None or room.available is None:
        return None
    reserved = sum(max(0.0, memory - one.memory) for one in running)
    free = room.available - (1 - FULL_MEMORY) * room.memory - reserved
    return max(0, math.floor(free / memory))


def describe(ended: Sequence[TryUse], running: Sequence[TryUse], room: MachineRoom | None) -> Iterator[str]:
    """The numbers behind it, one sentence each."""
    yield f"from the last {len(ended)} tries that ended here; {len(running)} run now"
    if room is None:
        return
    if room.cpus is not None and room.used_cpus is not None:
        yield f"{room.used_cpus:.1f} of {room.cpus:g} CPUs in use (average over some minutes)"
    if room.memory is not None and room.available is not None:
        yield f"{format_bytes(room.available)} of {format_bytes(room.memory)} of memory available now"
    if room.limit:
        yield f"within the limits of the control group {room.limit}"


def list_unknown(
    ended: Sequence[TryUse], room: MachineRoom | None, cpu: float | None, memory: float | None
) -> Iterator[str]:
    """What is not known, with what would make it known."""
    if cpu is None:
        yield (f"the CPU of a slot: {MIN_TRIES} tries must have ended while this exporter ran ({len(ended)} so far)")
    if memory is None:
        yield (
            f"the memory of a slot: the peaks of {MIN_TRIES} tries are needed; if tries ran, let the exporter run as "
            "Airflow's user or with CAP_SYS_PTRACE"
        )
    if room is None:
        yield "the room on the machine: let the exporter read it (without --no-host.machine)"
    elif room.used_cpus is None:
        yield "the CPUs in use: two readings of the machine are needed"
    if room is not None and room.other_limits:
        yield (
            "whether tasks are limited further: the control groups of Airflow have different limits "
            f"({', '.join(room.other_limits)})"
        )
