"""All StatsD names of Airflow 2.10 to 3.3, and the known ones of later releases, declared once.

Resolution, docs/matrix.md, tests and `explain` are derived from it.
"""

from exporter.sources.statsd.airflow_names.events import (
    agents,
    dag_processor,
    executor,
    internals,
    jobs,
    runs,
    scheduler,
    tasks,
)

EVENTS = (
    *runs.EVENTS,
    *tasks.EVENTS,
    *scheduler.EVENTS,
    *executor.EVENTS,
    *dag_processor.EVENTS,
    *jobs.EVENTS,
    *internals.EVENTS,
    *agents.EVENTS,
)
FED_FAMILIES = tuple(dict.fromkeys(binding.family for event in EVENTS for binding in event.bindings))
"""Every declared family that StatsD can feed, including those that the API may feed instead."""
