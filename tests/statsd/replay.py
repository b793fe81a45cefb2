"""Recorded StatsD streams, and a small reader and aggregator of their own to replay them with."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from exporter.directory import Directory
from exporter.family import Family, Labels
from exporter.settings import StatsdSettings
from exporter.sources.statsd.event import Action, Resolution, Signature, Type
from exporter.sources.statsd.names import Names

DATA = Path(__file__).parents[1] / "data" / "statsd"
STREAMS = tuple(sorted(path.name.removesuffix(".json.gz") for path in DATA.glob("*.gz")))
LINE = re.compile(
    r"(?P<name>[^,:]+)(?P<tags>,[^:]*)?:(?P<value>[^|]+)\|(?P<type>\w+)(\|@(?P<rate>[\d.]+))?(\|#(?P<dog>.*))?"
)
Series = tuple[Family, Labels]


def read_lines(stream: str) -> list[str]:
    """Every line of a stream, in the order in which Airflow sent them."""
    packed = gzip.decompress((DATA / f"{stream}.json.gz").read_bytes()).decode()
    return [line for payload in packed.splitlines() for line in json.loads(payload).splitlines() if line]


def read_signature(line: str) -> tuple[Signature, float]:
    """What the line is, and its value. Signs do not matter: the recorded gauges are absolute."""
    match = LINE.fullmatch(line)
    assert match, line
    separator = "=" if match["tags"] else ":"
    told = (match["tags"] or match["dog"] or "").strip(",")
    tags = tuple((tag.partition(separator)[0], tag.partition(separator)[2]) for tag in told.split(",") if tag)
    dialect = "influxdb" if match["tags"] else "datadog" if match["dog"] else ""
    return Signature(match["name"], Type(match["type"]), tags, float(match["rate"] or 1), dialect), float(
        match["value"]
    )


class Replay:
    """What a stream comes to."""

    def __init__(self, lines: Iterable[str], settings: StatsdSettings | None = None, **api: Iterable[Family]) -> None:
        self.names = Names(Directory(), settings or StatsdSettings(), frozenset(api.get("feeds", ())))
        self.sums: defaultdict[Series, float] = defaultdict(float)
        self.counts: Counter[Series] = Counter()
        self.gauges: dict[Series, float] = {}
        self.drops: Counter[str] = Counter()
        self.ambiguous = 0
        self.unmapped: set[str] = set()
        known: dict[Signature, Resolution] = {}
        revision = -1
        for line in lines:
            signature, value = read_signature(line)
            if self.names.revision != revision or signature not in known:
                known[signature] = self.names.resolve(signature)
                if self.names.revision != revision:
                    known = {signature: known[signature]}
                revision = self.names.revision
            self._add(signature, value, known[signature])

    def _add(self, signature: Signature, value: float, resolution: Resolution) -> None:
        self.drops[resolution.drop] += 1
        self.ambiguous += resolution.ambiguous
        if resolution.drop == "unmapped":
            self.unmapped.add(signature.name)
        for target in resolution.targets:
            series = target.family, target.labels
            if target.action is Action.SET:
                self.gauges[series] = value * target.scale + target.plus
            else:
                # A line of a counter that stands for several is as many events; here no counter is sampled.
                self.sums[series] += value * target.scale + target.plus
                self.counts[series] += 1

    def total(self, family: Family, **labels: str) -> float:
        """The sum of a counter's or histogram's series that have these labels."""
        return sum(value for series, value in self.sums.items() if matches(series, family, labels))

    def count(self, family: Family, **labels: str) -> int:
        """How many lines fed the family's series that have these labels."""
        return sum(number for series, number in self.counts.items() if matches(series, family, labels))

    def by(self, family: Family) -> dict[Labels, float]:
        """A counter's or histogram's sums by labels, those above zero."""
        return {labels: round(value, 5) for (owner, labels), value in self.sums.items() if owner is family and value}

    def list_series(self) -> Iterator[str]:
        """Every series as text, in order."""
        for family, labels in {**self.gauges, **self.sums}:
            pairs = ",".join(f'{name}="{value}"' for name, value in zip(family.labels, labels, strict=True))
            yield f"{family.kind:<9} {family.name}{{{pairs}}}"


def matches(series: Series, family: Family, labels: dict[str, str]) -> bool:
    told = dict(zip(series[0].labels, series[1], strict=True))
    return series[0] is family and all(told[name] == value for name, value in labels.items())
