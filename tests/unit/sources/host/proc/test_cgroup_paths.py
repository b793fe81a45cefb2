"""Where control groups of other processes lie for a process in a cgroup namespace, or with a partial mount."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.catalogue.host import machine
from exporter.sources.host.machine import MachineReader
from exporter.sources.host.proc.cgroup_paths import CgroupPaths, find_mount_root, parse_mountinfo, split

MIB = 1024 * 1024
SLICES = ("system.slice/docker-us", "system.slice/docker-other", "user.slice/session")


def mountinfo(point: Path, root: str, fstype: str = "cgroup2") -> bytes:
    return (
        f"24 20 0:21 / /sys rw - sysfs sysfs rw\n64 43 0:32 {root} {point} rw,relatime - {fstype} cgroup rw\n".encode()
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A host's hierarchy in which the group `system.slice/docker-us` lists this process."""
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    for name in SLICES:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "cgroup.procs").write_text("0\n1\n")
    (tmp_path / "system.slice/docker-us/cgroup.procs").write_text(f"1\n{os.getpid()}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "below"),
    [
        ("/", "system.slice/docker-us"),
        ("/../docker-other", "system.slice/docker-other"),
        ("/../../user.slice/session", "user.slice/session"),
        ("/../..", ""),
    ],
)
def test_groups_outside_of_our_namespace_are_found_in_the_hosts_tree(tree: Path, path: str, below: str) -> None:
    paths = CgroupPaths(tree)
    paths.set_view({"": "/"}, mountinfo(tree, "/../.."))
    place = paths.locate("", path)
    assert place is not None
    assert place.folder == tree / below
    assert place.path == (path if path == "/" else f"/{below}")
    assert list(place.list_levels())[-1] == tree


def test_our_process_may_be_below_the_root_of_its_namespace(tree: Path) -> None:
    (tree / "system.slice/docker-us/init.scope").mkdir()
    (tree / "system.slice/docker-us/cgroup.procs").write_text("")
    (tree / "system.slice/docker-us/init.scope/cgroup.procs").write_text(f"{os.getpid()}\n")
    paths = CgroupPaths(tree)
    paths.set_view({"": "/init.scope"}, mountinfo(tree, "/../.."))
    place = paths.locate("", "/../docker-other")
    assert place is not None
    assert place.folder == tree / "system.slice/docker-other"


@pytest.mark.parametrize("root", ["/", "/sub"])
def test_what_lies_outside_of_the_mount_is_not_guessed(tree: Path, root: str) -> None:
    paths = CgroupPaths(tree)
    paths.set_view({"": "/"}, mountinfo(tree, root))
    assert paths.locate("", "/../docker-other") is None


def test_where_our_process_is_in_no_group_of_the_tree_nothing_is_guessed(tree: Path) -> None:
    (tree / "system.slice/docker-us/cgroup.procs").write_text("1\n")
    paths = CgroupPaths(tree)
    paths.set_view({"": "/"}, mountinfo(tree, "/../.."))
    assert paths.locate("", "/../docker-other") is None


def test_a_mount_of_a_group_of_version_1_shows_only_what_is_below_it(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    paths = CgroupPaths(tmp_path)
    paths.set_view({"memory": "/docker/abc"}, mountinfo(tmp_path / "memory", "/docker/abc", "cgroup"))
    place = paths.locate("memory", "/docker/abc/airflow")
    assert place is not None
    assert (place.path, place.folder) == ("/docker/abc/airflow", tmp_path / "memory/airflow")
    assert paths.locate("memory", "/docker/other") is None


def test_a_mount_is_found_behind_a_symbolic_link_and_the_last_one_hides_the_others(tmp_path: Path) -> None:
    (tmp_path / "cpu,cpuacct").mkdir()
    (tmp_path / "cpu").symlink_to("cpu,cpuacct")
    mounts = mountinfo(tmp_path / "cpu,cpuacct", "/first", "cgroup") + mountinfo(
        tmp_path / "cpu,cpuacct", "/last", "cgroup"
    )
    assert find_mount_root(parse_mountinfo(mounts), tmp_path / "cpu") == "/last"
    assert find_mount_root(parse_mountinfo(mounts), tmp_path) == "/"


@given(st.binary(max_size=300))
def test_no_mountinfo_raises(text: bytes) -> None:
    list(parse_mountinfo(text + b"\n1 2 0:1 " + text + b" - cgroup x"))


@given(st.text(max_size=50))
def test_a_path_is_levels_up_and_names_down(path: str) -> None:
    up, names = split(path)
    assert [name for name in path.split("/") if name] == [".."] * up + list(names)


def test_a_group_that_cannot_be_resolved_is_reported_and_the_others_are_read(tmp_path: Path) -> None:
    for name, text in {"self/cgroup": "0::/\n", "7/cgroup": "0::/mine\n", "8/cgroup": "0::/../theirs\n"}.items():
        (tmp_path / "proc" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "proc" / name).write_text(text)
    (tmp_path / "sys/fs/cgroup/mine").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cgroup.controllers").write_text("memory\n")
    (tmp_path / "sys/fs/cgroup/mine/memory.current").write_text("4096\n")
    reading = MachineReader(tmp_path / "proc", tmp_path / "sys", Path("/"), 10.0, lambda: (7, 8)).read()
    assert reading.tables[machine.CGROUP_MEMORY] == {("/mine",): 4096}
    assert reading.tables[machine.UNREADABLE]["cgroups", "namespace"] == 1
    assert any("cgroup: host" in note for note in reading.notes)


# ---- the real kernel -------------------------------------------------------------------------------

READ = """
import sys
from pathlib import Path
from exporter.metrics.catalogue.host import machine as families
from exporter.sources.host.machine import MachineReader
reading = MachineReader(Path("/proc"), Path("/sys"), Path("/"), 10.0, lambda: (int(sys.argv[1]),)).read()
print(reading.tables[families.CGROUP_MEMORY_LIMIT], reading.tables[families.UNREADABLE]["cgroups", "namespace"])
"""


def find_memory_hierarchy() -> Path | None:
    for folder in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory")):
        limited = (folder / "cgroup.subtree_control").exists() and "memory" in (
            folder / "cgroup.subtree_control"
        ).read_text()
        if limited or (folder / "memory.limit_in_bytes").exists():
            return folder
    return None


@pytest.fixture
def groups() -> Iterator[SimpleNamespace]:
    """Two control groups of the kernel, one with a limit of 64 MiB and a process in it."""
    folder = find_memory_hierarchy()
    if folder is None or os.geteuid() != 0:
        pytest.skip("NOT RUN: needs root and a hierarchy of control groups with the memory controller")
    parent = folder / f"airflow-exporter-test-{os.getpid()}"
    try:
        parent.mkdir()
    except OSError as error:
        pytest.skip(f"NOT RUN: control groups cannot be made here: {error}")
    ours, theirs = parent / "ours", parent / "theirs"
    version_2 = (parent / "cgroup.subtree_control").exists()
    if version_2:
        (parent / "cgroup.subtree_control").write_text("+memory")
    for group in (ours, theirs):
        group.mkdir()
    (theirs / ("memory.max" if version_2 else "memory.limit_in_bytes")).write_text(str(64 * MIB))
    sleeper = subprocess.Popen(["sleep", "60"])
    (theirs / "cgroup.procs").write_text(str(sleeper.pid))
    yield SimpleNamespace(name=parent.name, ours=ours, pid=sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    for group in (ours, theirs, parent):
        group.rmdir()


def test_in_a_cgroup_namespace_of_our_own_the_kernels_paths_are_resolved(groups: SimpleNamespace) -> None:
    join = f'echo $$ > "{groups.ours}/cgroup.procs" && exec unshare --cgroup "$@"'
    done = subprocess.run(
        ["sh", "-c", join, "sh", sys.executable, "-c", READ, str(groups.pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "Operation not permitted" in done.stderr:
        pytest.skip("NOT RUN: cgroup namespaces cannot be made here")
    assert done.returncode == 0, done.stderr
    assert f"('/{groups.name}/theirs',): {64 * MIB}" in done.stdout
    assert done.stdout.strip().endswith(" 0")
