"""What the exporter serves, in a few lines for people."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

LINE = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
LABEL = re.compile(r'(?P<name>[a-zA-Z_]\w*)="(?P<value>(?:[^"\\]|\\.)*)"')
ESCAPED = re.compile(r"\\(.)")
READER_SUCCESS = "airflow_exporter_reader_success"
STATES = ("running", "queued", "scheduled", "deferred", "up_for_retry", "up_for_reschedule")


@dataclass(frozen=True)
class Sample:
    """One sample of an exposition."""

    labels: Mapping[str, str]
    value: float


class Samples:
    """An exposition, asked by name and labels."""

    def __init__(self, text: str) -> None:
        self._by_name: dict[str, list[Sample]] = {}
        for line in filter(None, map(LINE.fullmatch, text.splitlines())):
            labels = {found["name"]: _unescape(found["value"]) for found in LABEL.finditer(line["labels"] or "")}
            self._by_name.setdefault(line["name"], []).append(Sample(labels, float(line["value"])))

    def get(self, name: str, **labels: str) -> list[Sample]:
        """All samples of this name that have these labels."""
        return [sample for sample in self._by_name.get(name, ()) if labels.items() <= sample.labels.items()]

    def total(self, name: str, **labels: str) -> int:
        """Their sum, for counts."""
        return int(sum(sample.value for sample in self.get(name, **labels)))

    def values(self, name: str, label: str) -> list[str]:
        """The different values of a label, in order."""
        return sorted({sample.labels.get(label, "") for sample in self.get(name)})

    def mean(self, histogram: str) -> float | None:
        """The mean of everything that a histogram saw; None if it saw nothing."""
        count = self.total(f"{histogram}_count")
        return sum(sample.value for sample in self.get(f"{histogram}_sum")) / count if count else None


def _unescape(value: str) -> str:
    return ESCAPED.sub(lambda found: "\n" if found[1] == "n" else found[1], value)


def fetch(url: str) -> Samples:
    """Scrape once; never through a proxy, the address is ours."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as reply:
        return Samples(reply.read().decode())


def shows(samples: Samples, version: str) -> bool:
    """Whether this exposition has an Airflow of this release whose DAGs have been read."""
    known = samples.get("airflow_info", version=version)
    return bool(known) and samples.total("airflow_dags", state="active") > 0


def failing(samples: Samples) -> list[str]:
    """The readers whose newest read went wrong."""
    return sorted(sample.labels["reader"] for sample in samples.get(READER_SUCCESS) if not sample.value)


def summary(samples: Samples) -> dict[str, str]:
    """A heading and a sentence for each thing that a newcomer asks first."""
    tries, failed, retried = (
        samples.total(f"airflow_task_{what}_total") for what in ("tries", "tries_failed", "retries")
    )
    numbers = {
        "DAGs": _counts((state, samples.total("airflow_dags", state=state)) for state in ("active", "paused")),
        "Runs now": _states(samples, "airflow_dag_runs", ("running", "queued")),
        "Runs ended": _states(samples, "airflow_dag_runs_finished_total", ("success", "failed")),
        "Tasks now": _states(samples, "airflow_task_instances", STATES),
        "Tries ended": f"{tries}, of which {failed} failed, {retried} of these to be tried again",
        "Waits": f"{_mean(samples, 'queued')} queued, {_mean(samples, 'scheduled')} scheduled, on average",
        "Pools": "; ".join(_pool(samples, name) for name in samples.values("airflow_pool_slots", "pool")) or "none",
    }
    return {**numbers, "Failing": ", ".join(failing(samples))} if failing(samples) else numbers


def _counts(numbers: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{number} {word}" for word, number in numbers if number) or "none"


def _states(samples: Samples, family: str, states: Iterable[str]) -> str:
    return _counts((state, samples.total(family, state=state)) for state in states)


def _mean(samples: Samples, wait: str) -> str:
    mean = samples.mean(f"airflow_task_{wait}_duration_seconds")
    return "unknown" if mean is None else f"{mean:.1f} s"


def _pool(samples: Samples, name: str) -> str:
    used, waiting = (samples.total(f"airflow_pool_{what}_slots", pool=name) for what in ("occupied", "waiting"))
    slots = samples.get("airflow_pool_slots", pool=name)[0].value
    return f"{name} {used} of {slots:g} used, {waiting} waiting"
