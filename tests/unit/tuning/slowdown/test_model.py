"""How much longer tries take at a load: known cases, and what queueing theory says."""

from __future__ import annotations

import math

import pytest

from exporter.tuning.slowdown.model import FULL, SHARES, Slowdown, find_level, get_demand, get_sharpness
from tests.e2e.advise.throughput import Station, compute_throughput


def count(**numbers: int) -> list[int]:
    """Running tries, by the place of their share: `at_3=2` are two of the fourth share."""
    counts = [0] * len(SHARES)
    for place, number in numbers.items():
        counts[int(place.removeprefix("at_"))] = number
    return counts


def test_tries_that_only_compute_share_the_cores() -> None:
    factors = [Slowdown(4).get_factors(count(**{f"at_{FULL}": number}))[FULL] for number in (1, 4, 6, 8)]
    assert factors == pytest.approx([1, 1, 1.5, 2])


def test_tries_that_only_wait_take_as_long_as_ever() -> None:
    assert Slowdown(1).get_factors(count(at_0=50)) == [1.0] * len(SHARES)
    assert Slowdown(4).get_factors(count(at_0=50, **{f"at_{FULL}": 8}))[0] == 1


def test_without_a_limit_nothing_takes_longer() -> None:
    assert Slowdown().get_factors(count(**{f"at_{FULL}": 500})) == [1.0] * len(SHARES)


@pytest.mark.parametrize("cores", [2, 4, 8])
@pytest.mark.parametrize("level", [place for place, share in enumerate(SHARES) if 0.25 <= share <= 0.9])
def test_tries_that_compute_and_wait_by_turns_do_as_much_as_theory_says(level: int, cores: int) -> None:
    share, slowdown = SHARES[level], Slowdown(cores)
    for number in range(1, round(3 * cores / share)):
        theory = compute_throughput(number, (Station(share, cores),), 1 - share, 1.0)
        factor = slowdown.get_factors(count(**{f"at_{level}": number}))[level]
        assert number / factor == pytest.approx(theory, rel=0.04)


def test_all_cpus_are_used_and_no_more_where_different_tries_want_more() -> None:
    counts = count(at_3=4, at_6=5, **{f"at_{FULL}": 3})
    assert get_demand(counts) > 4
    factors = Slowdown(4, math.inf).get_factors(counts)
    used = sum(share * number / factor for share, number, factor in zip(SHARES, counts, factors, strict=True))
    assert used == pytest.approx(4)
    assert factors == sorted(factors), "the more of a CPU a try wants, the longer it takes"


def test_a_dag_that_is_not_known_wants_a_cpu() -> None:
    slowdown = Slowdown(4, None, {"sensor": 0})
    assert [slowdown.get_level(dag_id) for dag_id in ("sensor", "other")] == [0, FULL]
    assert [SHARES[find_level(share)] for share in (0.0, 0.01, 0.52, 3.0)] == [0, 0, 0.55, 1]


def test_the_more_cpus_the_more_suddenly_it_begins() -> None:
    half = count(at_6=4)
    assert get_sharpness(half, 1) < get_sharpness(half, 8) < get_sharpness(count(**{f"at_{FULL}": 4}), 8) == math.inf
