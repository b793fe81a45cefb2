"""The processes of one session, as the only ones: whatever else this machine runs disturbs no figure."""

from __future__ import annotations

import os
from pathlib import Path

TOP = 1


def list_session(leader: int) -> list[int]:
    """Init, and all processes of the session that this process leads."""
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    return [TOP, *(pid for pid in pids if is_member(pid, leader))]


def is_member(pid: int, leader: int) -> bool:
    try:
        return os.getsid(pid) == leader
    except ProcessLookupError:
        return False
