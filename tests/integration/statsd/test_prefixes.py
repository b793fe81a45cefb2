"""Recorded streams of Airflow mean the same under any prefix, whether it is configured or has to be recognised."""

from __future__ import annotations

import pytest

from exporter.config.settings import StatsdSettings
from exporter.sources.directory import Directory
from exporter.sources.statsd.airflow_names.prefixes import format_prefixes
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from tests.integration.statsd.streams import STREAMS, Line, Stream, read_lines
from tests.integration.statsd.test_recorded_streams import Replay

LINES = 2_000
"""How many lines of each stream are read."""
FIRST_LINES = 100
"""How many lines at most may pass until a prefix is recognised."""


def rename(lines: list[Line], prefix: str) -> list[Line]:
    return [line._replace(name=prefix + line.name.removeprefix("airflow.")) for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize("stream", STREAMS, ids=str)
@pytest.mark.parametrize("prefix", ["airflow.production.", "scheduler.", ""])
def test_the_same_series_come_of_a_stream_under_another_prefix(stream: Stream, prefix: str) -> None:
    sent = [line for line in read_lines(stream) if line.name.startswith("airflow.")][:LINES]
    names, usual = (
        AirflowNameResolver(Directory(), StatsdSettings()),
        AirflowNameResolver(Directory(), StatsdSettings()),
    )
    first = Replay(names, rename(sent, prefix))
    Replay(usual, sent)
    assert first.drops["undecided"] < Replay(usual, sent).drops["undecided"] + FIRST_LINES
    assert Replay(names, rename(sent, prefix)).values == Replay(usual, sent).values
    assert not [
        family for family, _ in first.values if family.startswith(("airflow_custom_production", "airflow_custom_s"))
    ]


def test_a_prefix_of_any_length_is_cut_in_messages() -> None:
    assert format_prefixes(["airflow.", "x" * 3_000 + "."]) == f"the prefix airflow, the prefix {'x' * 80}…"
