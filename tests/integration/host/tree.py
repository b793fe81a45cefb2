"""A /proc of invented processes, written as the kernel writes it, into a folder."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zlib import crc32

STATUS = "Name:\tx\nVmHWM:\t{peak} kB\nRssAnon:\t{anonymous} kB\nvoluntary_ctxt_switches:\t{switches}\n"
MAPS = "00400000-7ffe00000000 ---p 00000000 00:00 0 [rollup]\nRss: {rss} kB\nPss: {pss} kB\nPss_Dirty: 1 kB\n"
LIMITS = "Limit  Soft Limit  Hard Limit  Units\nMax open files            {files}                 524288    files\n"
IO = "rchar: 1\nwchar: 2\nread_bytes: {read}\nwrite_bytes: {written}\ncancelled_write_bytes: 0\n"


@dataclass
class Fake:
    """One process. CPU is in ticks, memory in KiB, disk traffic in bytes."""

    pid: int
    ppid: int
    argv: tuple[str, ...]
    start: int = 1000
    state: str = "S"
    cpu: int = 0
    children_ticks: int = 0
    rss: int = 1000
    pss: int = 400
    peak: int = 1200
    anonymous: int = 300
    read: int = 0
    written: int = 0
    switches: int = 0
    fds: int = 3
    fd_limit: str = "1024"
    hidden: frozenset[str] = field(default_factory=frozenset)
    """Files that are not there."""


class Tree:
    """The folder; `write` brings it up to date with `fakes`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fakes: dict[int, Fake] = {}
        self._written: dict[str, dict[Path, str]] = {}
        (folder / "self").mkdir(parents=True)

    def add(self, pid: int, ppid: int, *argv: str, **more: Any) -> Fake:
        """A process that starts."""
        self.fakes[pid] = Fake(pid, ppid, argv, **more)
        self.write()
        return self.fakes[pid]

    def end(self, pid: int, *, waited: bool = True, write: bool = True) -> None:
        """A process that ends; its parent takes over what it used, if it waits for it."""
        gone = self.fakes.pop(pid)
        parent = self.fakes.get(gone.ppid)
        for child in self.fakes.values():
            if child.ppid == pid:
                child.ppid = 1
        if parent and waited:
            parent.children_ticks += gone.cpu + gone.children_ticks
            parent.read += gone.read
            parent.written += gone.written
        if write:
            self.write()

    def write(self) -> None:
        """Bring all files up to date."""
        for path in self.folder.iterdir():
            if path.name.isdecimal() and int(path.name) not in self.fakes:
                # The kernel returns nothing for an ended process, even from an open file.
                (path / "schedstat").write_text("")
                shutil.rmtree(path)
                self._written.pop(path.name, None)
        children: dict[int, list[str]] = {}
        for fake in self.fakes.values():
            children.setdefault(fake.ppid, []).append(str(fake.pid))
        for fake in self.fakes.values():
            self._write(fake, " ".join(children.get(fake.pid, ())))

    def _write(self, fake: Fake, children: str) -> None:
        folder = self.folder / str(fake.pid)
        if not folder.exists():
            (folder / "fd").mkdir(parents=True)
            (folder / "task" / str(fake.pid)).mkdir(parents=True)
            for number in range(fake.fds):
                (folder / "fd" / str(number)).touch()
        pages = fake.rss * 1024 // os.sysconf("SC_PAGE_SIZE")
        files = {
            "stat": show_stat(fake, pages),
            "schedstat": show_runtime(fake),
            "cmdline": "".join(f"{part}\0" for part in fake.argv),
            "status": STATUS.format(peak=fake.peak, anonymous=fake.anonymous, switches=fake.switches),
            "smaps_rollup": MAPS.format(rss=fake.rss, pss=fake.pss),
            "limits": LIMITS.format(files=fake.fd_limit),
            "io": IO.format(read=fake.read, written=fake.written),
            f"task/{fake.pid}/children": children,
        }
        written = self._written.setdefault(folder.name, {})
        for name, text in files.items():
            path = folder / name
            if name in fake.hidden:
                path.unlink(missing_ok=True)
                written.pop(path, None)
            elif written.get(path) != text:
                path.write_text(text)
                written[path] = text


def show_runtime(fake: Fake) -> str:
    """/proc/PID/schedstat: another number whenever the process did anything, as opposed to what others do to it."""
    done = crc32(repr(replace(fake, ppid=0, rss=0, hidden=frozenset())).encode())
    return f"{done + 1} 0 1\n"


def show_stat(fake: Fake, pages: int) -> str:
    """/proc/PID/stat, with a command that contains brackets; an active process has page faults."""
    faults = fake.cpu + fake.peak + len("".join(fake.argv))
    return (
        f"{fake.pid} (a) (b c) {fake.state} {fake.ppid} 1 1 0 -1 0 {faults} 0 0 0 "
        f"{fake.cpu} 0 {fake.children_ticks} 0 20 0 1 0 {fake.start} 1000000 {pages} 18446744073709551615"
    )
