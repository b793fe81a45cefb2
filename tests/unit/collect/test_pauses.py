"""How long readers pause where all of them together would take more of the time than they may."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collect.pauses import ReaderLoad, compute_pauses

TENTH = 0.1
LOADS = st.lists(
    st.builds(ReaderLoad, st.sampled_from([0.5, 30.0, 60.0, 300.0]), st.floats(0.0, 60.0)), min_size=1, max_size=20
)


def pause(*loads: ReaderLoad) -> list[float]:
    return list(compute_pauses({str(place): load for place, load in enumerate(loads)}, TENTH).values())


def measure_busy(loads: list[ReaderLoad], pauses: list[float]) -> float:
    return sum(load.duration / pause for load, pause in zip(loads, pauses, strict=True))


@given(LOADS)
def test_all_reads_together_take_a_tenth_of_the_time_at_most_and_no_less_where_they_wait(
    loads: list[ReaderLoad],
) -> None:
    pauses = pause(*loads)
    wanted = sum(load.share for load in loads)
    assert measure_busy(loads, pauses) == pytest.approx(min(wanted, TENTH))
    assert all(one >= load.interval for one, load in zip(pauses, loads, strict=True))


def test_a_single_slow_reader_gets_all_that_the_quick_ones_leave() -> None:
    assert pause(ReaderLoad(30, 30)) == pytest.approx([300])
    with_others = pause(ReaderLoad(30, 30), ReaderLoad(300, 0.3), ReaderLoad(30, 0))
    assert with_others == pytest.approx([303.03, 300, 30], rel=0.001)


def test_a_reader_that_takes_a_hundred_times_as_long_waits_ten_times_as_long() -> None:
    short, long = pause(ReaderLoad(30, 0.3), ReaderLoad(30, 30))
    assert (short, long) == pytest.approx((33, 330))


def test_readers_that_take_a_moment_hardly_lengthen_the_wait_of_the_slowest() -> None:
    """Equal shares for all slow readers would let the slowest wait for 1,000 s, a third for each."""
    slowest, *others = pause(ReaderLoad(30, 30), ReaderLoad(30, 2), ReaderLoad(30, 3))
    assert slowest == pytest.approx(472, abs=1)
    assert others == pytest.approx([122, 149], abs=1)


def test_where_each_read_takes_thirty_times_as_long_none_waits_for_much_longer_than_the_others() -> None:
    """Equal shares would let one wait for 2,200 s. The durations are about those of an Airflow with 2,000 DAGs."""
    usual = {  # seconds that reads take, by their interval
        30: [0.007, 0.03, 0.15, 0.45, 0.1, 0.2],
        60: [0.02, 0.04, 0.04, 0.03, 0.05, 0.1, 0.1],
        300: [0.02],
    }
    loads = [ReaderLoad(interval, 30 * one) for interval, durations in usual.items() for one in durations]
    assert max(pause(*loads)) < 700
