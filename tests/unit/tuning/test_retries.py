"""Advice on retries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.tuning.advice import Answer, Confidence
from exporter.tuning.queries import (
    DAG_FAILED,
    RECOVERED,
    RETRIED,
    RETRY_DELAY,
)
from exporter.tuning.questions.retries import RetryRecord, answer
from tests.unit.tuning.observed import Watched, unwrap


def judge(retried: float, recovered: float, delay: float = 60) -> Answer:
    """One DAG and class; `delay` is that of each retry."""
    watched = Watched().add(RETRIED, retried, dag_id="etl", error_class="code").add(DAG_FAILED, 720, dag_id="etl")
    watched.add(RETRY_DELAY, delay * retried, dag_id="etl", error_class="code")
    if recovered:
        watched.add(RECOVERED, recovered, dag_id="etl", error_class="code")
    return answer(watched.observe())


def test_retries_in_vain_are_named() -> None:
    one = unwrap(judge(60, 1).recommendations)
    assert (one.setting, one.confidence) == ("retries", Confidence.HIGH)
    assert (one.savings.least, one.savings.most) == (0.5, 1.2)
    assert "1 of 60 retries helped (0 to 9 %)" in one.seen[0]


def test_a_long_delay_is_shortened() -> None:
    one = unwrap(judge(60, 57, 1800).recommendations)
    assert (one.setting, one.value, one.confidence) == ("retry_delay", "360 s", Confidence.MEDIUM)
    assert one.savings.most == pytest.approx(60 * 1440 / 3600)


@pytest.mark.parametrize(("retried", "recovered", "delay"), [(60, 57, 60), (60, 30, 1800), (12, 1, 60)])
def test_other_retries_stay(retried: float, recovered: float, delay: float) -> None:
    found = judge(retried, recovered, delay)
    assert not found.recommendations or retried == 12
    assert found.nothing.startswith("Nothing to change") or retried == 12


def test_few_retries_are_no_advice() -> None:
    found = judge(9, 0)
    assert not found.recommendations
    assert unwrap(found.missing).have.startswith("9 retries")


def test_the_chart_tells_those_that_helped() -> None:
    helped, vain = unwrap(judge(60, 57).charts).lines
    assert (helped.y, vain.y) == ([57], [3])


@given(st.floats(1, 1e4), st.floats(0, 1))
def test_the_range_holds_the_share(retried: float, share: float) -> None:
    record = RetryRecord("d", "code", retried, share * retried, 0, 0)
    least, most = record.share_range
    assert 0 <= least <= record.share + 1e-9
    assert record.share - 1e-9 <= most <= 1
