"""What is known about the stream as a whole: release, dialect, whether Airflow sends tags.

Airflow's API counts first, then the exporter's configuration, then hints in the stream. Hints only accumulate, so a
decision changes a few times at most, whatever is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import NamedTuple

from exporter.config.settings import StatsdSettings
from exporter.sources.directory import Directory
from exporter.sources.statsd.airflow_names.event import (
    NEWEST_RELEASE,
    Event,
    Release,
    TimerUnit,
    parse_release,
    parse_single_major,
)
from exporter.sources.statsd.airflow_names.units import SenderContext, get_scale

MAX_UNDECIDED_NAMES = 50
"""Lookups after which the most likely is assumed for everything that no hint has shown."""
TRUE = ("true", "1", "t", "yes", "on")
FALSE = ("false", "0", "f", "no", "off")


class StreamConfig(NamedTuple):
    """What the API and the configuration say about the stream."""

    release: Release
    """Empty if it is not known."""
    mode: str
    """plain, influxdb or datadog; empty if it is not known."""
    tags: bool
    consistent: bool
    """`timer_unit_consistency`."""
    prefixes: tuple[str, ...]


def resolve_config(directory: Directory, settings: StatsdSettings) -> StreamConfig:
    """Combine Airflow's API, which counts first, with the exporter's configuration."""
    release = parse_release(directory.version) or parse_release(settings.release)
    mode = parse_mode(directory.metrics) or settings.mode
    tags = mode == "influxdb" or (
        mode == "datadog" and parse_flag(directory.metrics, "statsd_datadog_metrics_tags") is not False
    )
    consistent = parse_flag(directory.metrics, "timer_unit_consistency")
    configured = [name.strip() for name in settings.prefix.split(",")]
    names = dict.fromkeys([*configured, directory.metrics.get("statsd_prefix") or configured[0]])
    return StreamConfig(
        release,
        mode,
        tags,
        bool(settings.timer_unit_consistency if consistent is None else consistent),
        tuple(f"{name}." if name else "" for name in names),
    )


def parse_mode(metrics: Mapping[str, str]) -> str:
    """The StatsD client that Airflow uses: if both are enabled, DogStatsD."""
    datadog, influxdb = parse_flag(metrics, "statsd_datadog_enabled"), parse_flag(metrics, "statsd_influxdb_enabled")
    if datadog is None and influxdb is None:
        return ""
    return "datadog" if datadog else "influxdb" if influxdb else "plain"


def parse_flag(metrics: Mapping[str, str], name: str) -> bool | None:
    value = metrics.get(name, "").strip().lower()
    return True if value in TRUE else False if value in FALSE else None


class StreamHints:
    """The properties of the stream. `revision` grows with every change."""

    def __init__(self, directory: Directory, settings: StatsdSettings) -> None:
        self._directory = directory
        self._settings = settings
        self.revision = 0
        self._names = 0
        self._tags: bool | None = None
        self._datadog: bool | None = None
        self._major = 0
        self._seen: set[tuple[Event, bool]] = set()
        self._revision_seen = directory.revision
        self._config = resolve_config(directory, settings)

    @property
    def config(self) -> StreamConfig:
        """What the API and the configuration say."""
        if self._revision_seen != self._directory.revision:
            self._revision_seen = self._directory.revision
            self._config = resolve_config(self._directory, self._settings)
        return self._config

    @property
    def known_release(self) -> Release:
        """Airflow's release from the API or the configuration; empty if neither has it."""
        return self.config.release

    @property
    def release(self) -> Release:
        """Airflow's release, or the most likely one."""
        return self.config.release or ((2, 11) if self._major == 2 else NEWEST_RELEASE)

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The possible prefixes of Airflow's names, with their dots."""
        return self.config.prefixes

    @property
    def tagged(self) -> bool | None:
        """Whether Airflow sends tags; None if it is not known yet. Tags that were seen outweigh the configuration."""
        return self._tags if self._tags or not self.config.mode else self.config.tags

    @property
    def datadog(self) -> bool:
        """Whether Airflow uses DogStatsD's client, as far as it is known."""
        return self.config.mode == "datadog" if self.config.mode else bool(self._datadog)

    @property
    def undecided(self) -> bool:
        """Whether it is too early to assume the most likely."""
        return self._names < MAX_UNDECIDED_NAMES

    @property
    def sender_context(self) -> SenderContext:
        """What the units of timers depend on."""
        return SenderContext(self.release, self.datadog, self.config.consistent)

    def is_scale_known(self, unit: TimerUnit) -> bool:
        """Whether the unit is known. After MAX_UNDECIDED_NAMES lookups the most likely is assumed."""
        if not self.undecided:
            return True
        now = self.sender_context
        certain = self.known_release or self._major
        releases = (now.release,) if certain else ((2, 11), NEWEST_RELEASE)
        clients = (now.datadog,) if self.config.mode or self._datadog is not None else (False, True)
        scales = {get_scale(unit, SenderContext(*way, now.consistent)) for way in product(releases, clients)}
        return len(scales) == 1

    def record_name(self) -> None:
        """Count a lookup."""
        self._names += 1
        if self._names == MAX_UNDECIDED_NAMES:
            self.assume_defaults()

    def assume_defaults(self) -> None:
        """Assume the most likely for everything that is not known."""
        self._names = max(self._names, MAX_UNDECIDED_NAMES)
        self._tags = bool(self._tags)
        self.revision += 1

    def record_tags(self, *, sent: bool) -> None:
        """Record a name that has tags if Airflow sends tags. Once tags were seen, their absence means nothing."""
        if self._tags is None or (sent and not self._tags):
            self._tags = sent
            self.revision += 1
        if not sent:
            self.record_client(datadog=False)

    def record_client(self, *, datadog: bool) -> None:
        """Record a line that only DogStatsD's client sends, or that it never sends."""
        if self._datadog is None or (datadog and not self._datadog):
            self._datadog = datadog
            self.revision += 1

    def knows_client(self, *, datadog: bool) -> bool:
        """Whether one more line of that client shows nothing new."""
        return self._datadog is not None and self._datadog >= datadog

    def record_release(self, releases: str) -> None:
        """Record a name that only these releases send. Airflow may be upgraded, so 3.x outweighs 2.x."""
        major = parse_single_major(releases)
        if major > self._major:
            self._major = major
            self.revision += 1

    def record_form(self, event: Event, *, legacy: bool) -> None:
        """Record that an event came under its legacy or its modern name."""
        if (event, legacy) not in self._seen:
            self._seen.add((event, legacy))
            self.revision += (event, not legacy) in self._seen

    def has_seen(self, event: Event, *, legacy: bool) -> bool:
        """Whether the event came under its legacy or its modern name."""
        return (event, legacy) in self._seen
