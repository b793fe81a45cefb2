"""Airflow's StatsD names: what is known of each, and what becomes of a line."""

from exporter.sources.statsd.airflow_names.events import EVENTS
from exporter.sources.statsd.airflow_names.resolver import Names

FED = tuple(dict.fromkeys(feed.family for event in EVENTS for feed in event.feeds))
"""Every declared family that StatsD can feed, those that the API may feed instead among them."""

__all__ = ["EVENTS", "FED", "Names"]
