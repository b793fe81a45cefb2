"""The families of limits that something waits for, made of findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from exporter.diagnosis.findings import Finding
from exporter.diagnosis.suggestions import suggest_limit
from exporter.metrics.catalogue.api import object_limits
from exporter.metrics.family import Family, Labels


def build_limit_tables(findings: Iterable[Finding]) -> dict[Family, dict[Labels, float]]:
    """Size, use, holders and suggested value of each limit that the findings name."""
    tables: dict[Family, dict[Labels, float]] = {family: {} for family in object_limits.FAMILIES}
    for finding in findings:
        labels = (finding.reason.name, finding.object)
        values = {
            object_limits.LIMIT: finding.limit,
            object_limits.USED: finding.used,
            object_limits.SUGGESTED: suggest_limit(finding),
        }
        for family, value in values.items():
            if value is not None:
                tables[family][labels] = value
        for dag_id, held in get_holding_dags(finding).items():
            tables[object_limits.HELD][*labels, dag_id] = held
    return tables


def get_holding_dags(finding: Finding) -> Mapping[str, float]:
    """What the DAGs hold that hold most of the limit. Limits of a DAG have none: they are its own."""
    match finding.reason.object_kind:
        case "pool" | "executor":
            return dict(finding.holders)
        case "task" if finding.used:
            return {finding.example[0]: finding.used}
    return {}
