"""Agents and tools of Airflow's AI provider."""

from exporter.metrics.catalogue.statsd import agents
from exporter.sources.statsd.airflow_names.events.scheduler import counter

EVENTS = (
    counter("managed_agent.failover", agents.FAILOVERS, "3.0+", tags=("from_platform", "to_platform")),
    counter("managed_agent.served", agents.ANSWERS, "3.0+", tags=("tool", "platform")),
    counter("common_ai.tool_calls", agents.TOOL_CALLS, "3.0+", tags=("toolset", "framework", "outcome")),
)
