"""Advice on retries: each kind with figures that call for it, and figures just beside that do not."""

from __future__ import annotations

import pytest

from exporter.diagnosis.retry_advice import (
    ALWAYS_HELP,
    DELAY_TOO_LONG,
    NEVER_HELP,
    NO_RETRIES,
    RetryCount,
    advise_on_retries,
)


def count(
    followed: int = 0, recovered: int = 0, delay: float = 0.0, without: int = 0, dag: str = "d", kind: str = "network"
) -> RetryCount:
    return RetryCount(dag, kind, followed, recovered, delay, without)


@pytest.mark.parametrize(
    ("counted", "name"),
    [
        (count(5, 0, kind="code"), NEVER_HELP),
        (count(4, 0, kind="code"), None),
        (count(5, 5, 100.0), ALWAYS_HELP),
        (count(5, 4, 100.0), None),
        (count(5, 5, 5 * 600.0), DELAY_TOO_LONG),
        (count(5, 4, 5 * 600.0), DELAY_TOO_LONG),
        (count(5, 3, 5 * 600.0), None),
        (count(5, 5, 5 * 299.0), ALWAYS_HELP),
        (count(without=20), None),
    ],
)
def test_the_advice_on_one_dag(counted: RetryCount, name: str | None) -> None:
    assert [one.name for one in advise_on_retries([counted])] == ([name] if name else [])


def test_a_dag_without_retries_whose_failures_retries_cure_elsewhere() -> None:
    elsewhere = count(10, 5, dag="e")
    [advice] = advise_on_retries([count(without=5), elsewhere])
    assert (advice.name, advice.object) == (NO_RETRIES, "d")
    assert "5 of 10" in advice.evidence[1]
    assert not advise_on_retries([count(without=4), elsewhere])
    assert not advise_on_retries([count(without=5), count(10, 4, dag="e")])
    assert not advise_on_retries([count(without=5), count(10, 6, dag="e", kind="timeout")])


def test_what_cost_most_time_comes_first() -> None:
    found = advise_on_retries([count(5, 0, 60.0, dag="a"), count(5, 0, 7200.0, dag="b")])
    assert [one.object for one in found] == ["b", "a"]
    assert found[0].evidence == [
        "0 of 5 retries after class network succeeded",
        "24 min between a failed try and the next on average",
        "2 h in all",
    ]
