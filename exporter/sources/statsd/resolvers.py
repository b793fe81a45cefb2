"""Which resolver says what becomes of a signature: Airflow's names, or a user's mapping file."""

from __future__ import annotations

import hashlib

from exporter.config.settings import Settings
from exporter.metrics.catalogue.families import FAMILIES
from exporter.sources.directory import Directory
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.sources.statsd.mapping.mapper import Mapper, load_mapping
from exporter.sources.statsd.model import Resolver


def build_resolver(settings: Settings, directory: Directory, before: Resolver | None = None) -> Resolver:
    """The resolver by the settings, in place of one `before`. Raises MappingError where the mapping file is wrong."""
    if settings.statsd.mapping_config:
        return load_mapping(settings.statsd.mapping_config, before if isinstance(before, Mapper) else None)
    of_api = settings.collectors.get("airflow", False)
    api_feeds = frozenset(family for family in FAMILIES if of_api and family.source == "airflow")
    return AirflowNameResolver(
        directory, settings.statsd, api_feeds, before if isinstance(before, AirflowNameResolver) else None
    )


def compute_binding_digest(settings: Settings) -> bytes:
    """What decides which families StatsD feeds, in short: equal where the same lines feed the same series."""
    statsd = settings.statsd
    if statsd.mapping_config:
        return hashlib.sha256(statsd.mapping_config.read_bytes()).digest()
    chosen = (statsd.prefix, statsd.allow, statsd.deny, statsd.task_labels, settings.collectors.get("airflow", False))
    return hashlib.sha256(repr(chosen).encode()).digest()
