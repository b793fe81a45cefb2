"""What is known of the stream as a whole: release, dialect, whether tags are sent.

The API's word counts first, then the configuration's, then signs in the stream itself. Signs only ever add up:
a decision changes a few times at most, whatever is sent.
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
"""How many names are looked up before what shows no sign is taken for what is most likely."""
TRUE = ("true", "1", "t", "yes", "on")
FALSE = ("false", "0", "f", "no", "off")


class StreamConfig(NamedTuple):
    """What need not be guessed."""

    release: Release
    """Empty where nobody tells it."""
    mode: str
    """plain, influxdb or datadog; empty where nobody tells it."""
    tags: bool
    consistent: bool
    """`timer_unit_consistency`."""
    prefixes: tuple[str, ...]


def resolve_config(directory: Directory, settings: StatsdSettings) -> StreamConfig:
    """The API's word first, then the configuration's."""
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
    """Which of its clients Airflow uses: DogStatsD's wins."""
    datadog, influxdb = parse_flag(metrics, "statsd_datadog_enabled"), parse_flag(metrics, "statsd_influxdb_enabled")
    if datadog is None and influxdb is None:
        return ""
    return "datadog" if datadog else "influxdb" if influxdb else "plain"


def parse_flag(metrics: Mapping[str, str], name: str) -> bool | None:
    value = metrics.get(name, "").strip().lower()
    return True if value in TRUE else False if value in FALSE else None


class StreamHints:
    """The stream's properties. `revision` grows with every change of mind."""

    def __init__(self, directory: Directory, settings: StatsdSettings) -> None:
        self._directory = directory
        self._settings = settings
        self.revision = 0
        self._names = 0
        self._tags: bool | None = None
        self._datadog: bool | None = None
        self._major = 0
        self._seen: set[tuple[Event, bool]] = set()
        self._spelling = directory.spelling
        self._told = resolve_config(directory, settings)

    @property
    def config(self) -> StreamConfig:
        """What the API or the configuration tells."""
        if self._spelling != self._directory.spelling:
            self._spelling = self._directory.spelling
            self._told = resolve_config(self._directory, self._settings)
        return self._told

    @property
    def known_release(self) -> Release:
        """Airflow's release, as the API or the configuration tells it; empty where neither does."""
        return self.config.release

    @property
    def release(self) -> Release:
        """Airflow's release, or what it is taken for."""
        return self.config.release or ((2, 11) if self._major == 2 else NEWEST_RELEASE)

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What may stand before Airflow's names, with its dot."""
        return self.config.prefixes

    @property
    def tagged(self) -> bool | None:
        """Whether tags are sent; None while that is not clear. Tags that were seen outweigh what was said."""
        return self._tags if self._tags or not self.config.mode else self.config.tags

    @property
    def datadog(self) -> bool:
        """Whether DogStatsD's client sends, or is taken to."""
        return self.config.mode == "datadog" if self.config.mode else bool(self._datadog)

    @property
    def undecided(self) -> bool:
        """Whether it is too early to take the most likely for granted."""
        return self._names < MAX_UNDECIDED_NAMES

    @property
    def sender_context(self) -> SenderContext:
        """What units depend on."""
        return SenderContext(self.release, self.datadog, self.config.consistent)

    def is_scale_known(self, unit: TimerUnit) -> bool:
        """Whether a unit is clear. After a while it is taken for what is most likely."""
        if not self.undecided:
            return True
        now = self.sender_context
        certain = self.known_release or self._major
        releases = (now.release,) if certain else ((2, 11), NEWEST_RELEASE)
        clients = (now.datadog,) if self.config.mode or self._datadog is not None else (False, True)
        scales = {get_scale(unit, SenderContext(*way, now.consistent)) for way in product(releases, clients)}
        return len(scales) == 1

    def record_name(self) -> None:
        """A name is looked up."""
        self._names += 1
        if self._names == MAX_UNDECIDED_NAMES:
            self.assume_defaults()

    def assume_defaults(self) -> None:
        """Wait no longer."""
        self._names = max(self._names, MAX_UNDECIDED_NAMES)
        self._tags = bool(self._tags)
        self.revision += 1

    def record_tags(self, *, sent: bool) -> None:
        """A name came that has tags wherever tags are sent. Once tags are seen, their absence says nothing any more."""
        if self._tags is None or (sent and not self._tags):
            self._tags = sent
            self.revision += 1
        if not sent:
            self.record_client(datadog=False)

    def record_client(self, *, datadog: bool) -> None:
        """Something came that only DogStatsD's client sends, or that it does not send."""
        if self._datadog is None or (datadog and not self._datadog):
            self._datadog = datadog
            self.revision += 1

    def record_release(self, releases: str) -> None:
        """Something came that only these releases send. Airflow may be upgraded, so 3.x outweighs 2.x."""
        major = parse_single_major(releases)
        if major > self._major:
            self._major = major
            self.revision += 1

    def record_form(self, event: Event, *, legacy: bool) -> None:
        """An event came under its legacy or its modern name."""
        if (event, legacy) not in self._seen:
            self._seen.add((event, legacy))
            self.revision += (event, not legacy) in self._seen

    def has_seen(self, event: Event, *, legacy: bool) -> bool:
        """Whether the event came under its legacy or its modern name."""
        return (event, legacy) in self._seen
