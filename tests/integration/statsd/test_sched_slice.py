"""The receiving thread asks the kernel for short turns, and for nothing else."""

from __future__ import annotations

import ctypes
import os
import threading
from typing import NamedTuple

import pytest

from exporter.sources.statsd.receive import sched_slice
from exporter.sources.statsd.receive.sched_slice import ATTRIBUTES, NUMBERS, SLICE, request_short_slice

pytestmark = pytest.mark.skipif(os.uname().machine not in NUMBERS, reason="the number of the call is not known")


class Schedule(NamedTuple):
    """What the kernel says of the calling thread."""

    policy: int
    nice: int
    turn: int
    """Nanoseconds; 0 where the kernel knows no turns of one's own."""


def read_schedule() -> Schedule:
    # sched_getattr comes after sched_setattr in every table of calls.
    buffer = ctypes.create_string_buffer(ATTRIBUTES.size)
    number = NUMBERS[os.uname().machine] + 1
    assert ctypes.CDLL(None).syscall(number, 0, buffer, ATTRIBUTES.size, 0) == 0
    _, policy, _, nice, _, turn, _, _ = ATTRIBUTES.unpack(buffer.raw)
    return Schedule(policy, nice, turn)


def see_in_a_thread(nice: int = 0, policy: int = os.SCHED_OTHER) -> tuple[Schedule, bool, Schedule]:
    """What holds before, whether the wish was taken, and what holds after."""
    seen: list[tuple[Schedule, bool, Schedule]] = []

    def run() -> None:
        os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) + nice)
        os.sched_setscheduler(0, policy, os.sched_param(0))
        seen.append((read_schedule(), request_short_slice(), read_schedule()))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return seen[0]


def test_turns_are_short_where_the_kernel_can_and_niceness_stays() -> None:
    before, taken, after = see_in_a_thread(nice=3)
    assert taken
    assert after.turn == (SLICE if before.turn else 0)
    assert after[:2] == before[:2]


def test_the_other_threads_keep_theirs() -> None:
    before = read_schedule()
    see_in_a_thread()
    assert read_schedule() == before


def test_a_thread_of_another_policy_is_left_alone() -> None:
    before, taken, after = see_in_a_thread(policy=os.SCHED_BATCH)
    assert (taken, after) == (False, before)


def test_where_there_is_no_such_call_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sched_slice, "NUMBERS", {})
    before, taken, after = see_in_a_thread()
    assert (taken, after) == (False, before)
