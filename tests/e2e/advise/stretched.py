"""What the exporter exposed of a real Airflow, with its time stretched, as samples for Prometheus.

The rules and the advice look at days in steps of five minutes; a test has a quarter of an hour. So each second becomes
several: times are moved apart, and what is counted in seconds grows with them. Everything is then as if all work, all
waits and all pauses had taken that many times as long; how many tasks run, and what each uses meanwhile, is the same.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from exporter.tuning.queries import QUERIES
from tests.e2e.advise.history import find_needed
from tests.e2e.exactness.subject import Exposition, Series

COUNTED_IN_SECONDS = ("_seconds_total", "_seconds_sum")
MOMENT = "_timestamp_seconds"
ABSENT_IS_NONE = frozenset({"airflow_task_instances", "airflow_task_memory_bytes", "airflow_object_waiting_dag_runs"})
"""Series that are missing where there is nothing to count. In what is written afterwards a series ends only after five
minutes: 0 is written instead, else the pauses between tasks would not be seen."""


class StretchedTime:
    """Maps the time of the test to that of the series: `begin` of the one is `at` of the other."""

    def __init__(self, begin: float, at: float, factor: float) -> None:
        self.begin, self.at, self.factor = begin, at, factor

    def map(self, moment: float) -> float:
        """A moment as it is written."""
        return self.at + (moment - self.begin) * self.factor


class StretchedRecorder:
    """Keeps the scrapes."""

    def __init__(self, time: StretchedTime, **labels: str) -> None:
        self._time = time
        self._labels = frozenset(labels.items())
        self._needed = find_needed(query.expression for query in QUERIES)
        self._samples: defaultdict[str, defaultdict[Series, list[tuple[float, float]]]]
        self._samples = defaultdict(lambda: defaultdict(list))

    def record(self, now: float, scrape: Exposition) -> None:
        """Keep those series of a scrape that the rules and the advice read."""
        known = (series for name in ABSENT_IS_NONE for series in self._samples[name])
        for series, value in (dict.fromkeys(known, 0.0) | dict(scrape)).items():
            if series.name in self._needed:
                self._samples[series.name][series].append((self._time.map(now), self._stretch(series.name, value)))

    def _stretch(self, name: str, value: float) -> float:
        if name.endswith(MOMENT):
            return self._time.map(value)
        return value * self._time.factor if name.endswith(COUNTED_IN_SECONDS) else value

    def write(self, file: TextIO) -> None:
        """All samples, as promtool reads them."""
        for name, found in sorted(self._samples.items()):
            file.write(f"# TYPE {name} unknown\n")
            for series, samples in found.items():
                labels = ",".join(f"{key}={json.dumps(text)}" for key, text in sorted(series.labels | self._labels))
                file.writelines(f"{name}{{{labels}}} {value!r} {at:.3f}\n" for at, value in samples)
        file.write("# EOF\n")


def stretch_events(lines: Iterator[str], time: StretchedTime) -> Iterator[str]:
    """Lines of the events file with the same time, from the beginning on."""
    for line in lines:
        event = json.loads(line)
        moment = time.map(datetime.fromisoformat(event["time"]).timestamp())
        if moment < time.at:
            continue
        event["time"] = datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")
        yield json.dumps({name: stretch_value(name, value, time.factor) for name, value in event.items()})


def stretch_value(name: str, value: Any, factor: float) -> Any:
    """A field of an event: durations grow."""
    if isinstance(value, Mapping):
        return {key: stretch_value(name, one, factor) for key, one in value.items()}
    is_duration = name.endswith("_seconds") and isinstance(value, int | float)
    return value * factor if is_duration else value
