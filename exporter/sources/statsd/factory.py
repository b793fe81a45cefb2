"""Builds the StatsD source from the settings, or changes the one that runs without a gap in reception."""

from __future__ import annotations

from collections.abc import Callable

from exporter.config.settings import Settings
from exporter.metrics.catalogue.families import FAMILIES
from exporter.metrics.family import Family
from exporter.metrics.family_spec import FamilySpec
from exporter.metrics.reading import Source
from exporter.sources.context import Previous, SourceContext
from exporter.sources.statsd import resolvers
from exporter.sources.statsd.aggregator import Aggregator
from exporter.sources.statsd.model import Resolver
from exporter.sources.statsd.source import StatsdSource, find_listeners

BY_NAME = {family.name: family for family in FAMILIES}


def build(settings: Settings, context: SourceContext, previous: Previous, /) -> list[Source]:
    """The StatsD source; the running one where it listens as before, so that no packet is lost.

    Raises MappingError where the mapping file is wrong, and StateError where saved counters cannot be read.
    """
    running = previous.sources.get(StatsdSource.name)
    if isinstance(running, StatsdSource):
        return [rebuild(running, settings, context)]
    resolver = resolvers.build_resolver(settings, context.directory)
    context.configure_tables(settings)
    if context.saver:
        context.saver.restore(resolvers.compute_binding_digest(settings), build_family_finder(settings, resolver))
    listeners, relay = find_listeners(settings.reception), settings.reception.relay_address
    return [StatsdSource(listeners, Aggregator(context.tables, resolver), relay, context.saver)]


def rebuild(running: StatsdSource, settings: Settings, context: SourceContext) -> StatsdSource:
    """The running source with another resolver, or a new one on other addresses that feeds the same series."""
    before = running.aggregator.resolver
    resolver = resolvers.build_resolver(settings, context.directory, before)
    if context.saver:
        context.saver.configuration = resolvers.compute_binding_digest(settings)

    def configure() -> None:
        if type(resolver) is not type(before):
            # The same names mean other things from now on.
            context.tables.clear()
        context.configure_tables(settings)

    running.change(resolver, configure)
    listeners, relay = find_listeners(settings.reception), settings.reception.relay_address
    if (running.listeners, running.relay_address) == (listeners, relay):
        return running
    return StatsdSource(listeners, running.aggregator, relay, context.saver)


def build_family_finder(settings: Settings, resolver: Resolver) -> Callable[[FamilySpec], Family | None]:
    """A function that returns the family which saved series belong to, or None if StatsD no longer feeds it."""
    by_api = settings.collectors.get("airflow", False)

    def find_family(spec: FamilySpec) -> Family | None:
        if not spec.declared:
            return resolver.restore_family(spec)
        family = BY_NAME.get(spec.name)
        if family is None or family.labels != spec.labels or (by_api and family.source != "statsd"):
            return None
        return family

    return find_family
