"""The events file: whole lines, rotation, other people's rotation, a full disk."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from exporter.events.target import STDOUT, EventTarget


def make(path: Path, max_bytes: int = 0, backups: int = 2) -> EventTarget:
    return EventTarget(path, max_bytes, backups)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_lines_are_appended_and_the_file_is_not_for_everybody(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_bytes(b"before\n")
    path.unlink()
    target = make(path)
    target.append([b"a\n", b"b\n"])
    target.append([b"c\n"])
    assert read(path) == "a\nb\nc\n"
    assert stat.S_IMODE(path.stat().st_mode) & 0o137 == 0


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_the_group_can_read_a_new_file_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    """The units for systemd have UMask=0077, and log shippers are in the exporter's group."""
    path = tmp_path / "events"
    before = os.umask(umask)
    try:
        target = make(path, max_bytes=2)
        target.append([b"a\n"])
        target.append([b"b\n"])
    finally:
        os.umask(before)
    assert [stat.S_IMODE(one.stat().st_mode) for one in sorted(tmp_path.iterdir())] == [0o640, 0o640]


def test_the_mode_of_a_file_that_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.touch(mode=0o600)
    make(path).append([b"a\n"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_there_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_bytes(b"before\n")
    make(path).append([b"a\n"])
    assert read(path) == "before\na\n"


def test_it_is_rotated_before_it_grows_too_large_and_old_ones_go(tmp_path: Path) -> None:
    path = tmp_path / "events"
    target = make(path, max_bytes=4)
    target.append([b"1\n", b"2\n", b"3\n", b"4\n", b"5\n", b"6\n", b"7\n", b"8\n", b"9\n"])
    found = {one.name: read(one) for one in tmp_path.iterdir()}
    assert found == {"events": "9\n", "events.1": "7\n8\n", "events.2": "5\n6\n"}


def test_a_line_that_is_longer_than_the_limit_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "events"
    target = make(path, max_bytes=3)
    target.append([b"12345\n", b"6\n"])
    assert (read(path), read(tmp_path / "events.1")) == ("6\n", "12345\n")
    assert not (tmp_path / "events.2").exists()


def test_without_backups_only_the_newest_lines_are_there(tmp_path: Path) -> None:
    path = tmp_path / "events"
    make(path, max_bytes=4, backups=0).append([b"1\n", b"2\n", b"3\n"])
    assert {one.name: read(one) for one in tmp_path.iterdir()} == {"events": "3\n"}


@pytest.mark.parametrize("how", ["renamed", "deleted", "truncated"])
def test_a_rotation_by_somebody_else_is_noticed(tmp_path: Path, how: str) -> None:
    path = tmp_path / "events"
    target = make(path)
    target.append([b"a\n"])
    match how:
        case "renamed":
            path.rename(tmp_path / "events-old")
        case "deleted":
            path.unlink()
        case _:
            os.truncate(path, 0)
    target.append([b"b\n"])
    assert read(path) == "b\n"


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events"
    target = make(path)
    target.append([b"a\n"])
    write, left = os.write, [3]

    def write_little(fd: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = write(fd, bytes(data)[: left[0]])
        left[0] -= count
        return count

    monkeypatch.setattr(os, "write", write_little)
    with pytest.raises(OSError, match="No space left"):
        target.append([b"bcd\n", b"e\n"])
    assert read(path) == "a\n"
    left[0] = 100
    target.append([b"bcd\n"])
    assert read(path) == "a\nbcd\n"


def test_a_real_full_device_is_an_error_and_is_not_rotated() -> None:
    with pytest.raises(OSError, match="No space left"):
        make(Path("/dev/full"), max_bytes=1).append([b"a\n", b"b\n"])


def test_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    target = make(STDOUT, max_bytes=1)
    target.append([b"a\n", b"b\n"])
    target.close()
    target.append([b"c\n"])
    assert capfd.readouterr().out == "a\nb\nc\n"
