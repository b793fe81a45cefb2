"""The machine, by recorded files and a folder of invented ones."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from resource import RLIMIT_NOFILE, getrlimit, setrlimit
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.catalogue.host import machine
from exporter.sources.host.machine import MachineReader
from exporter.sources.host.proc import machine_files, procfs
from exporter.sources.host.proc.cgroups import CgroupReader
from exporter.sources.host.proc.machine_stats import Cpu, CpuCorrector, MachineStats
from exporter.sources.host.proc.procfs import MalformedError, UnreadableError
from tests.integration.host import oracle

MIB = 1024 * 1024
TICKS = os.sysconf("SC_CLK_TCK")
FILES = {
    "stat": "cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 50 0 25 400 25 0 0 0 0 0\ncpu1 50 0 25 400 25 0 0 0 0 0\nctxt 1\n",
    "loadavg": "0.50 1.25 2.00 1/200 4711\n",
    "meminfo": "MemTotal: 1000 kB\nMemFree: 200 kB\nMemAvailable: 600 kB\nBuffers: 50 kB\nCached: 300 kB\n"
    "SReclaimable: 50 kB\nActive: 9 kB\nInactive: 9 kB\nShmem: 9 kB\nSwapTotal: 100 kB\nSwapFree: 40 kB\n",
    "vmstat": "pswpin 1\npswpout 2\noom_kill 3\n",
    "diskstats": " 8 0 sda 1 0 2 1000 3 0 4 2000 0 1500 0\n 8 1 sda1 1 0 2 1000 3 0 4 2000 0 1500 0\n"
    " 7 0 loop0 9 0 9 9 9 9 9 9 0 9 9\n",
    "1/mounts": "/dev/sda1 / ext4 rw 0 0\nproc /proc proc rw 0 0\nnas:/x /mnt/nas nfs rw 0 0\n",
    "1/net/dev": "Inter-|\n face |\n  eth0: 10 1 0 0 0 0 0 0 20 2\n    lo: 5 1 0 0 0 0 0 0 5 1\n",
    "pressure/cpu": "some avg10=0.00 total=1500000\nfull avg10=0.00 total=0\n",
    "pressure/memory": "some avg10=0.00 total=2000000\nfull avg10=0.00 total=1000000\n",
    "pressure/io": "some avg10=0.00 total=0\nfull avg10=0.00 total=0\n",
    "self/cgroup": "0::/airflow\n",
}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def reader(tmp_path: Path) -> MachineReader:
    write(tmp_path / "proc", FILES)
    write(tmp_path / "sys/fs/cgroup", {"cgroup.controllers": "cpu memory", "airflow/memory.max": f"{64 * MIB}\n"})
    return MachineReader(tmp_path / "proc", tmp_path / "sys", Path("/"), 10.0, list)


def test_memory_is_divided_into_states_that_add_up(reader: MachineReader) -> None:
    memory = reader.read().tables[machine.MEMORY]
    assert memory == {("used",): 400 * 1024, ("free",): 200 * 1024, ("buffers",): 50 * 1024, ("cached",): 350 * 1024}
    assert sum(memory.values()) == 1000 * 1024


def test_usage_is_reported_from_the_second_reading_on(reader: MachineReader, tmp_path: Path) -> None:
    assert reader.read().tables[machine.CPU_USAGE] == {}
    (tmp_path / "proc/stat").write_text("cpu  150 0 75 820 55 0 0 0 0 0\ncpu0 150 0 75 820 55 0 0 0 0 0\n")
    assert reader.read().tables[machine.CPU_USAGE] == {(): pytest.approx(0.75)}


@pytest.mark.parametrize(
    ("iowait", "exposed"),
    [
        ((10.0, 9.9, 10.5), [10.0, 10.0, 10.5]),
        ((10_000.0, 5.0, 4.9), [10_000.0, 5.0, 5.0]),
    ],
)
def test_cpu_time_steps_back_only_if_counting_began_again(
    iowait: tuple[float, ...], exposed: list[float], reader: MachineReader, tmp_path: Path
) -> None:
    found = []
    for seconds in iowait:
        line = f"100 0 50 800 {round(seconds * TICKS)} 0 0 0 0 0\n"
        (tmp_path / "proc/stat").write_text(f"cpu  {line}cpu0 {line}")
        found.append(reader.read().tables[machine.CPU]["iowait",])
    assert found == exposed


def test_a_fall_that_many_cpus_add_up_to_is_not_one_of_counting_that_began_again() -> None:
    corrector = CpuCorrector()
    corrector.correct(Cpu({"iowait": 1_000.0, "user": 50.0}, 64))
    assert corrector.correct(Cpu({"iowait": 980.0, "user": 51.0}, 64)).modes == {"iowait": 1_000.0, "user": 51.0}
    assert corrector.correct(Cpu({"iowait": 2.0, "user": 1.0}, 64)).modes == {"iowait": 2.0, "user": 1.0}


def test_whole_disks_only_and_no_interface_that_leads_nowhere(reader: MachineReader) -> None:
    tables = reader.read().tables
    assert tables[machine.DISK_WRITTEN] == {("sda",): 4 * 512}
    assert tables[machine.DISK_BUSY] == {("sda",): 1.5}
    assert tables[machine.RECEIVED] == {("eth0",): 10}
    assert set(tables[machine.FILESYSTEM_SIZE]) == {("/dev/sda1", "/", "ext4")}


def test_an_unreadable_part_is_absent_and_reported_and_the_others_are_read(
    reader: MachineReader, tmp_path: Path
) -> None:
    (tmp_path / "proc/pressure/cpu").unlink()
    (tmp_path / "proc/meminfo").write_text("nonsense")
    reading = reader.read()
    assert reading.tables[machine.UNREADABLE]["pressure", "missing"] == 1
    assert reading.tables[machine.UNREADABLE]["memory", "malformed"] == 1
    assert reading.tables[machine.MEMORY] == {}
    assert reading.tables[machine.LOAD1] == {(): 0.5}
    assert set(reading.notes) == {"pressure: missing", "memory: malformed"}


def test_the_lowest_limit_above_a_group_of_version_2_is_its_limit(tmp_path: Path) -> None:
    files = {
        "cgroup.controllers": "cpu memory",
        "pod/memory.max": f"{100 * MIB}",
        "pod/airflow/memory.max": "max",
        "pod/airflow/memory.current": f"{80 * MIB}",
        "pod/airflow/memory.stat": f"anon 1\ninactive_file {30 * MIB}\n",
        "pod/airflow/memory.events": "low 0\noom 3\noom_kill 2\n",
        "pod/airflow/cpu.max": "150000 100000",
        "pod/airflow/cpu.stat": "usage_usec 2500000\nnr_periods 10\nnr_throttled 4\nthrottled_usec 500000\n",
    }
    [(path, figures)] = CgroupReader(write(tmp_path, files)).read([{"": "/pod/airflow"}]).values.items()
    assert path == "/pod/airflow"
    assert figures == {
        machine.CGROUP_MEMORY_LIMIT: 100 * MIB,
        machine.CGROUP_MEMORY: 80 * MIB,
        machine.CGROUP_WORKING_SET: 50 * MIB,
        machine.CGROUP_OOM_KILLS: 2,
        machine.CGROUP_CPU_LIMIT: 1.5,
        machine.CGROUP_CPU: 2.5,
        machine.CGROUP_THROTTLED: 0.5,
        machine.CGROUP_PERIODS: 10,
        machine.CGROUP_THROTTLED_PERIODS: 4,
    }


def test_controllers_of_version_1_have_groups_of_their_own(tmp_path: Path) -> None:
    files = {
        "memory/m/memory.limit_in_bytes": "9223372036854771712",
        "memory/m/memory.usage_in_bytes": "4096",
        "memory/m/memory.stat": "total_inactive_file 1024\n",
        "cpu/c/cpu.cfs_quota_us": "50000",
        "cpu/c/cpu.cfs_period_us": "100000",
        "cpuacct/c/cpuacct.usage": "3000000000\n",
    }
    groups = CgroupReader(write(tmp_path, files)).read([{"memory": "/m", "cpu": "/c", "cpuacct": "/c"}]).values
    assert groups["/m"] == {
        machine.CGROUP_MEMORY_LIMIT: math.inf,
        machine.CGROUP_MEMORY: 4096,
        machine.CGROUP_WORKING_SET: 3072,
    }
    assert groups["/c"] == {machine.CGROUP_CPU_LIMIT: 0.5, machine.CGROUP_CPU: 3.0}


def test_what_the_kernel_and_containers_mount_is_ignored_but_no_disk_with_a_like_name() -> None:
    ignored = ("/dev", "/dev/shm", "/run", "/run/user/0", "/sys/fs/cgroup", "/var/lib/docker/overlay2/a/merged")
    read = ("/", "/devdata", "/runs", "/processed", "/system", "/var/lib/docker", "/data/run")
    text = "".join(f"device{number} {point} ext4 rw 0 0\n" for number, point in enumerate((*ignored, *read)))
    assert tuple(mount.point for mount in machine_files.parse_mounts(text.encode())) == read


def test_mount_points_may_hold_spaces() -> None:
    [mount] = machine_files.parse_mounts(b"/dev/sdb /my\\040disk xfs rw 0 0\n")
    assert mount.point == "/my disk"


PARSERS = (
    machine_files.parse_load, machine_files.parse_numbers,
    machine_files.parse_pressure, machine_files.parse_limit, machine_files.parse_quota, machine_files.parse_cgroups,
    lambda text: list(machine_files.parse_mounts(text)),
)  # fmt: skip


@pytest.mark.parametrize("parse", PARSERS)
@given(text=st.binary(max_size=300))
def test_no_bytes_raise_anything_but_malformed(parse: Callable[[bytes], object], text: bytes) -> None:
    for each in (text, b"some total=" + text, b"0::/" + text):
        try:
            parse(each)
        except MalformedError:
            continue


DISKSTATS = """\
 259       0 nvme0n1 1001 2 3003 4004 5005 6 7007 8008 9 1010 1111 12 13 14 15 16 17
 259       1 nvme0n1p1 100 2 300 400 500 6 700 800 9 101 111 12 13 14 15 16 17
 179       0 mmcblk0 1 2 3 4 5 6 7 8 9 10 11 0 0 0 0
 252       1 vda1 1 2 3 4 5 6 7 8 9 10 11
   8       0 sda 4294967296 2 18446744073709551615 4 5 6 7 8 9 10 11 12 13 14 15
 253       0 dm-0 1 0 8 0 0 0 0 0 0 0 0 0 0 0 0 0 0
   7       0 loop0 1 0 2 3 0 0 0 0 0 4 4 0 0 0 0 0 0
"""
"""As Linux 4.19, 5.15 and 6.1 write it: disks of each kind, a partition, and a whole disk named like a partition."""
SNAPSHOTS = {
    "this machine": {name: Path(f"/proc/{name}").read_text() for name in ("stat", "meminfo", "vmstat", "diskstats")},
    "other disks": {**FILES, "diskstats": DISKSTATS},
}


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_psutil_reads_the_same_numbers_as_the_parsers_before_it(name: str, tmp_path: Path) -> None:
    files = {file: text.encode() for file, text in SNAPSHOTS[name].items()}
    write(tmp_path, SNAPSHOTS[name])
    stats = MachineStats(tmp_path)
    assert stats.read_cpu() == oracle.parse_cpu(files["stat"])
    disks = {name: tuple(disk) for name, disk in stats.read_disks().items()}
    assert disks == {name: tuple(disk) for name, disk in oracle.parse_disks(files["diskstats"]).items()}
    expected = oracle.parse_memory(files["meminfo"])
    memory, swap = stats.read_memory(), stats.read_swap()
    assert memory.free == expected["MemFree"]
    assert memory.buffers == expected["Buffers"]
    assert memory.cached == expected["Cached"] + expected["SReclaimable"]
    assert memory.used + memory.free + memory.buffers + memory.cached == expected["MemTotal"]
    assert memory.available == expected["MemAvailable"]
    assert (swap.used, swap.free) == (expected["SwapTotal"] - expected["SwapFree"], expected["SwapFree"])


def test_the_machine_itself_is_read_from_proc() -> None:
    before, _ = oracle.parse_cpu(Path("/proc/stat").read_bytes())
    now = MachineStats(Path("/proc")).read_cpu()
    after, number = oracle.parse_cpu(Path("/proc/stat").read_bytes())
    assert now.number == number
    # The kernel may correct idle and iowait downwards.
    for mode in ("user", "nice", "system", "irq", "softirq", "steal"):
        assert before[mode] <= now.modes[mode] <= after[mode]


@given(text=st.binary(max_size=300), start=st.sampled_from([b"", b"cpu ", b"MemTotal: ", b" 8 0 sda ", b"cpu 1 2 3\n"]))
def test_no_bytes_in_a_file_of_psutil_raise_anything_but_malformed(text: bytes, start: bytes) -> None:
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        # psutil warns about fields that are missing.
        warnings.simplefilter("ignore", RuntimeWarning)
        for name in ("stat", "meminfo", "vmstat", "diskstats"):
            (Path(folder) / name).write_bytes(start + text)
        stats = MachineStats(Path(folder))
        for read in (stats.read_cpu, stats.read_memory, stats.read_swap, stats.read_disks):
            with suppress(MalformedError):
                read()


def test_out_of_descriptors_every_part_has_failed_and_no_limit_is_infinite(reader: MachineReader) -> None:
    soft, hard = getrlimit(RLIMIT_NOFILE)
    setrlimit(RLIMIT_NOFILE, (0, hard))
    try:
        reading = reader.read()
    finally:
        setrlimit(RLIMIT_NOFILE, (soft, hard))
    assert {labels for labels, value in reading.tables[machine.UNREADABLE].items() if value} == {
        (part, "failed") for part in machine.PARTS
    }
    assert all(note.endswith("Too many open files") for note in reading.notes)
    assert not reading.tables[machine.CGROUP_MEMORY_LIMIT]


def test_the_limit_of_a_group_is_not_taken_for_infinite_where_its_file_cannot_be_read(
    reader: MachineReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = procfs.read_file

    def refuse(path: str, size: int = procfs.MAX_FILE_BYTES) -> bytes:
        if path.endswith("/airflow/memory.max"):
            raise UnreadableError("failed", "Too many open files in system")
        return read(path, size)

    monkeypatch.setattr(procfs, "read_file", refuse)
    reading = reader.read()
    assert reading.tables[machine.UNREADABLE]["cgroups", "failed"] == 1
    assert not reading.tables[machine.CGROUP_MEMORY_LIMIT]
