"""The reader of the machine. Each part is read by itself, so that an unreadable one does not affect the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from exporter.metrics.catalogue.host import machine
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Reading
from exporter.sources.host.proc import machine_files, procfs
from exporter.sources.host.proc.cgroups import CgroupReader
from exporter.sources.host.proc.machine_stats import Cpu, CpuCorrector, MachineStats, compute_cpu_usage
from exporter.sources.host.proc.procfs import PAGE_SIZE, MalformedError, UnreadableError
from exporter.sources.host.saturation import Saturation

Sample = tuple[Family, Labels, float]
RESOURCES = ("cpu", "memory", "io")
HINTS = {
    "namespace": "some control groups are outside of the exporter's cgroup namespace; run the exporter in the host's "
    "(docker run --cgroupns=host, Compose: cgroup: host), or mount the host's /sys and set --path.sysfs",
}
"""What to do about a reason, shown beside it on the page /sources."""


class MachineReader:
    """Reads the machine. `list_pids` returns one process of each control group that Airflow runs in."""

    name = "machine"
    help = "CPU, memory, disks and network of the machine, and the limits of control groups"
    families: Sequence[Family] = machine.FAMILIES

    def __init__(
        self, procfs_root: Path, sysfs_root: Path, root: Path, interval: float, list_pids: Callable[[], Iterable[int]]
    ) -> None:
        self.interval = interval
        self._stats = MachineStats(procfs_root)
        self._procfs = procfs_root
        self._root = root
        self._cgroups = CgroupReader(sysfs_root / "fs" / "cgroup")
        self._list_pids = list_pids
        self._cpu: Cpu | None = None
        self._corrector = CpuCorrector()
        self.saturation = Saturation()
        self._parts: Mapping[str, Callable[[], Iterator[Sample]]] = {
            "cpu": self._read_cpu,
            "load": self._read_load,
            "memory": self._read_memory,
            "vmstat": self._read_vmstat,
            "disks": self._read_disks,
            "filesystems": self._read_filesystems,
            "network": self._read_network,
            "pressure": self._read_pressure,
            "cgroups": self._read_cgroups,
        }

    def read(self) -> Reading:
        """Read every part. An unreadable part has no samples, and is reported in `UNREADABLE` and in the notes."""
        tables: dict[Family, dict[Labels, float]] = {family: {} for family in self.families}
        tables[machine.UNREADABLE] = {(part, reason): 0 for part in machine.PARTS for reason in machine.REASONS}
        notes = []
        for part, read in self._parts.items():
            try:
                samples = list(read())
            except (UnreadableError, MalformedError) as error:
                reason = get_reason(error)
                tables[machine.UNREADABLE][part, reason] = 1
                notes.append(f"{part}: {error if reason == 'failed' else reason}")
                continue
            for family, labels, value in samples:
                tables[family][labels] = value
                if family is machine.UNREADABLE:
                    notes.append(f"{labels[0]}: {HINTS.get(labels[1], labels[1])}")
        self.saturation.update(tables)
        return Reading(tables=tables, notes=notes)

    def _read_file(self, name: str) -> bytes:
        return procfs.read_list(f"{self._procfs}/{name}")

    def _read_cpu(self) -> Iterator[Sample]:
        now = self._corrector.correct(self._stats.read_cpu())
        before, self._cpu = self._cpu, now
        for mode, seconds in now.modes.items():
            yield machine.CPU, (mode,), seconds
        yield machine.CPUS, (), now.number
        usage = compute_cpu_usage(before, now) if before else None
        if usage is not None:
            yield machine.CPU_USAGE, (), usage

    def _read_load(self) -> Iterator[Sample]:
        loads = machine_files.parse_load(self._read_file("loadavg"))
        yield from (
            (family, (), load)
            for family, load in zip((machine.LOAD1, machine.LOAD5, machine.LOAD15), loads, strict=True)
        )

    def _read_memory(self) -> Iterator[Sample]:
        memory = self._stats.read_memory()
        for state in machine.MEMORY_STATES:
            yield machine.MEMORY, (state,), getattr(memory, state)
        yield machine.AVAILABLE, (), memory.available
        swap = self._stats.read_swap()
        yield machine.SWAP, ("used",), swap.used
        yield machine.SWAP, ("free",), swap.free

    def _read_vmstat(self) -> Iterator[Sample]:
        found = machine_files.parse_numbers(self._read_file("vmstat"))
        for family, name, unit in (
            (machine.SWAPPED_IN, "pswpin", PAGE_SIZE),
            (machine.SWAPPED_OUT, "pswpout", PAGE_SIZE),
            (machine.OOM_KILLS, "oom_kill", 1),
        ):
            if name in found:
                yield family, (), found[name] * unit

    def _read_disks(self) -> Iterator[Sample]:
        for name, disk in self._stats.read_disks().items():
            yield machine.DISK_READ, (name,), disk.read_bytes
            yield machine.DISK_WRITTEN, (name,), disk.written_bytes
            yield machine.DISK_READS, (name,), disk.reads
            yield machine.DISK_WRITES, (name,), disk.writes
            yield machine.DISK_READ_TIME, (name,), disk.read_seconds
            yield machine.DISK_WRITE_TIME, (name,), disk.write_seconds
            yield machine.DISK_BUSY, (name,), disk.busy_seconds

    def _read_filesystems(self) -> Iterator[Sample]:
        try:
            text = self._read_file("1/mounts")
        except UnreadableError:
            text = self._read_file("self/mounts")
        for mount in machine_files.parse_mounts(text):
            labels = (mount.device, mount.point, mount.fstype)
            try:
                found = os.statvfs(f"{str(self._root).rstrip('/')}{mount.point}")
            except OSError:
                # Mounted in another namespace, or unmounted since the list was read.
                continue
            if found.f_blocks:
                yield machine.FILESYSTEM_SIZE, labels, found.f_blocks * found.f_frsize
                yield machine.FILESYSTEM_AVAILABLE, labels, found.f_bavail * found.f_frsize
                yield machine.FILESYSTEM_FILES, labels, found.f_files
                yield machine.FILESYSTEM_FILES_FREE, labels, found.f_ffree

    def _read_network(self) -> Iterator[Sample]:
        try:
            text = self._read_file("1/net/dev")
        except UnreadableError:
            text = self._read_file("net/dev")
        for name, traffic in procfs.parse_traffic(text).items():
            if name != "lo":
                yield machine.RECEIVED, (name,), traffic.received
                yield machine.SENT, (name,), traffic.sent

    def _read_pressure(self) -> Iterator[Sample]:
        for resource in RESOURCES:
            pressure = machine_files.parse_pressure(self._read_file(f"pressure/{resource}"))
            if pressure.some is not None:
                yield machine.PRESSURE_WAITING, (resource,), pressure.some
            if pressure.full is not None and resource != "cpu":
                yield machine.PRESSURE_STALLED, (resource,), pressure.full

    def _read_cgroups(self) -> Iterator[Sample]:
        self._cgroups.set_view(self._read_membership("self") or {}, self._read_mounts())
        memberships = [found for pid in self._list_pids() or ("self",) if (found := self._read_membership(pid))]
        groups = self._cgroups.read(memberships)
        for path, figures in groups.values.items():
            for family, value in figures.items():
                yield family, (path,), value
        for reason in sorted(groups.unreadable):
            yield machine.UNREADABLE, ("cgroups", reason), 1

    def _read_membership(self, pid: int | str) -> Mapping[str, str] | None:
        """The control groups of a process; None if it has ended or its file is not readable.

        Raises UnreadableError if no file can be opened, for example without free descriptors.
        """
        try:
            return machine_files.parse_cgroups(self._read_file(f"{pid}/cgroup"))
        except UnreadableError as error:
            if error.reason == "failed":
                raise
            return None

    def _read_mounts(self) -> bytes:
        try:
            return self._read_file("self/mountinfo")
        except UnreadableError:
            return b""


def get_reason(error: UnreadableError | MalformedError) -> str:
    """Why a part is unreadable: one of `machine.REASONS`."""
    if isinstance(error, MalformedError):
        return "malformed"
    return error.reason if error.reason in machine.REASONS else "missing"
