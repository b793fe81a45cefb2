"""Agents and tools of Airflow's AI provider, from StatsD."""

from functools import partial

from exporter.metrics.family import Family, Kind

counter = partial(
    Family,
    kind=Kind.COUNTER,
    source="statsd",
    reader="agents",
    since="3.0",
    cap=1_000,
    audience="authors of DAGs with agents, to see which answer and which tools they call",
)

FAILOVERS = counter(
    "airflow_managed_agent_failovers_total",
    help="Total number of times that an agent of a group failed and the next one was tried; labels are empty in "
    "plain StatsD",
    labels=("from_platform", "to_platform"),
    origin="managed_agent.failover",
)
ANSWERS = counter(
    "airflow_managed_agent_answers_total",
    help="Total number of answers of managed agents, by tool and platform; labels are empty in plain StatsD",
    labels=("tool", "platform"),
    origin="managed_agent.served",
)
TOOL_CALLS = counter(
    "airflow_ai_tool_calls_total",
    help="Total number of calls of AI toolsets, by toolset, framework and outcome; labels are empty in plain StatsD",
    labels=("toolset", "framework", "outcome"),
    origin="common_ai.tool_calls",
)

FAMILIES = (
    FAILOVERS,
    ANSWERS,
    TOOL_CALLS,
)
