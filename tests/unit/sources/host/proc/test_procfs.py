"""What the files of a process say: recorded ones, strange ones, and any bytes at all."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.host.proc import procfs
from exporter.sources.host.proc.procfs import Io, MalformedError, Stat, Status, Traffic, UnreadableError

STAT = (
    b"4711 (airflow worker -) S 30888 30888 30888 0 -1 4194624 812 99 3 1 71 7 250 36 20 0 1 0 70350 "
    b"351141888 35942 18446744073709551615 1 1 0 0 0 0 0 16781312 16386 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
)


def test_a_stat_is_read_by_what_follows_its_last_bracket() -> None:
    assert procfs.parse_stat(STAT) == Stat(4711, b"airflow worker -", "S", 30888, 815, 78, 286, 1, 70350, 35942)


def test_a_command_may_hold_brackets_and_line_feeds() -> None:
    odd = STAT.replace(b"airflow worker -", b") S 1 (\n)")
    assert procfs.parse_stat(odd)._replace(comm=b"") == procfs.parse_stat(STAT)._replace(comm=b"")


@pytest.mark.parametrize("text", [b"", b"1", b"1 (x", b"1 (x) S 2 3", b"x (x) S 1 " + b"0 " * 20, STAT[:60]])
def test_half_a_stat_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedError):
        procfs.parse_stat(text)


def test_a_status_has_the_peak_and_both_kinds_of_switches() -> None:
    text = (
        b"Name:\tx\nVmHWM:\t 142000 kB\nRssAnon:\t 90 kB\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t5\n"
    )
    assert procfs.parse_status(text) == Status(142000 * 1024, 90 * 1024, 12)


def test_a_zombie_has_no_memory_in_its_status() -> None:
    assert procfs.parse_status(b"Name:\tx\nState:\tZ (zombie)\n") == Status(0, 0, 0)


@pytest.mark.parametrize(("limit", "files"), [(b"1024", 1024), (b"unlimited", math.inf), (b"0", 0)])
def test_the_soft_limit_of_open_files_counts(limit: bytes, files: float) -> None:
    text = (
        b"Limit   Soft Limit  Hard Limit  Units\nMax processes  7 8 processes\nMax open files   "
        + limit
        + b"  4096  files\n"
    )
    assert procfs.parse_open_limit(text) == files


def test_proportional_memory_is_one_line_and_none_that_begins_so() -> None:
    text = b"0-7f ---p 0 00:00 0 [rollup]\nRss:  9 kB\nPss_Dirty: 3 kB\nPss:   35 kB\nPss_Anon: 1 kB\n"
    assert procfs.parse_pss(text) == 35 * 1024
    with pytest.raises(MalformedError):
        procfs.parse_pss(b"Rss: 9 kB\nPss_Dirty: 3 kB\n")


def test_disk_traffic_is_not_what_went_through_the_page_cache() -> None:
    assert procfs.parse_io(b"rchar: 9\nwchar: 8\nread_bytes: 4096\nwrite_bytes: 8192\n") == Io(4096, 8192)
    with pytest.raises(MalformedError):
        procfs.parse_io(b"rchar: 9\n")


def test_traffic_is_read_by_interface() -> None:
    text = b"Inter-|   Receive  |\n face |bytes |\n  eth0: 10 1 0 0 0 0 0 0 20 2 0 0\n    lo:5 1 0 0 0 0 0 0 5 1\n"
    assert procfs.parse_traffic(text) == {"eth0": Traffic(10, 20), "lo": Traffic(5, 5)}
    with pytest.raises(MalformedError):
        procfs.parse_traffic(b"a\nb\neth0: 1 2\n")


def test_only_numbers_are_processes() -> None:
    assert procfs.parse_pids(["self", "12", "3", "fs", "1a"]) == [3, 12]


def test_a_file_that_is_not_there_and_one_that_is_a_folder_are_gone(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(UnreadableError) as caught:
            procfs.read_file(str(path))
        assert caught.value.reason == procfs.GONE


PARSERS = (
    procfs.parse_stat, procfs.parse_status, procfs.parse_io, procfs.parse_pss, procfs.parse_traffic,
    procfs.parse_open_limit,
)  # fmt: skip


@pytest.mark.parametrize("parse", PARSERS)
@given(text=st.binary(max_size=400))
def test_no_bytes_raise_anything_but_malformed(parse: Callable[[bytes], object], text: bytes) -> None:
    for each in (
        text,
        STAT[: len(text)],
        b"x\ny\n eth0:" + text,
        b"VmHWM:" + text,
        b"read_bytes:" + text,
        b"\nPss:" + text,
        b"Max open files" + text,
    ):
        try:
            parse(each)
        except MalformedError:
            continue


def test_a_list_is_read_whole_though_the_kernel_returns_it_page_by_page() -> None:
    """As smaps here are mounts, net/dev and vmstat where there are many mounts or interfaces."""
    first = procfs.read_file("/proc/self/smaps")
    whole = procfs.read_list("/proc/self/smaps")
    assert len(first) <= procfs.PAGE_SIZE < len(whole)
    assert whole.count(b"VmFlags:") == pytest.approx(Path("/proc/self/smaps").read_bytes().count(b"VmFlags:"), abs=5)


def test_a_list_has_a_limit_and_may_not_be_there(tmp_path: Path) -> None:
    (tmp_path / "mounts").write_bytes(b"x" * 200_000)
    assert len(procfs.read_list(f"{tmp_path}/mounts", 100_000)) == 131_072
    with pytest.raises(UnreadableError) as caught:
        procfs.read_list(f"{tmp_path}/absent")
    assert caught.value.reason == procfs.GONE
