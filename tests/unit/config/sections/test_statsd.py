"""What the options of StatsD accept."""

from __future__ import annotations

import pytest

from exporter.config.sections.statsd import parse_release
from exporter.sources.statsd.airflow_names.event import parse_release as read_release


@pytest.mark.parametrize("text", ["2.11", "3.3.2", "3", " 3.1.8 ", "3.3.2rc1", "2.10.5+composer", "3.2.0.dev0"])
def test_a_release_is_one_that_names_are_read_by(text: str) -> None:
    assert read_release(parse_release(text))


@pytest.mark.parametrize(
    "text", ["v2.11", "latest", "airflow-2.11", "1.10", "2.x.", "2..1", ".", "composer-3-airflow-2.10.5"]
)
def test_what_would_count_as_the_newest_release_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a release of Airflow; write for example 2"):
        parse_release(text)


def test_no_release_is_accepted() -> None:
    assert parse_release("") == ""
