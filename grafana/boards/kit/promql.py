"""PromQL that repeats. Replicas count once (`one`, `rate`, `increase`), and rates are taken before sums."""

from __future__ import annotations

from exporter.collect.histograms import NATIVE_SOURCES
from exporter.metrics.catalogue.families import FAMILIES

OPERATORS = {"": "=", "!": "!=", "~": "=~", "!~": "!~"}
REPLICAS = "without(instance, pod)"
"""Labels in which two replicas, exporters that read the same Airflow, differ."""
DAG = {"dag_id": "$dag_id"}
TASK = {**DAG, "task_id": "$task_id"}
DAG_SELECTION = {"owners": "(.*,)?$owner(,.*)?", "tags": "(.*,)?$tag(,.*)?"}
"""Owners and tags of a DAG are joined by commas."""
NATIVE = frozenset(family.name for family in FAMILIES if family.kind == "histogram" and family.source in NATIVE_SOURCES)
"""Histograms that have a native form."""
HOST = {"instance": "~$worker"}
API_READ = 'max(airflow_source:up:max{airflow="$airflow", source="airflow"})'
STATSD_RECEIVED = 'sum(airflow_exporter_statsd_lines_total{airflow="$airflow"}) > 0'


def pick(family: str, **labels: str) -> str:
    """A selector of the selected Airflow. A label value that begins with !, ~ or !~ is matched by !=, =~ or !~."""
    matchers = "".join(f", {_matcher(name, value)}" for name, value in labels.items())
    return f'{family}{{airflow="$airflow"{matchers}}}'


def pick_fleet(family: str, **labels: str) -> str:
    """A selector of all Airflows that the variable `fleet` selects."""
    matchers = "".join(f", {_matcher(name, value)}" for name, value in labels.items())
    return f'{family}{{airflow=~"$fleet"{matchers}}}'


def _matcher(name: str, value: str) -> str:
    sign = next((sign for sign in ("!~", "~", "!") if value.startswith(sign)), "")
    return f'{name}{OPERATORS[sign]}"{value.removeprefix(sign)}"'


def one(family: str, **labels: str) -> str:
    """A gauge from the API or StatsD, with replicas reduced to one."""
    return f"max {REPLICAS} ({pick(family, **labels)})"


def rate(family: str, **labels: str) -> str:
    """The per-second rate of a counter from the API or StatsD, with replicas reduced to one."""
    return f"max {REPLICAS} (rate({pick(family, **labels)}[$__rate_interval]))"


def increase(family: str, **labels: str) -> str:
    """The increase of a counter over the selected time range, with replicas reduced to one."""
    return f"max {REPLICAS} (increase({pick(family, **labels)}[$__range]))"


def age(expression: str) -> str:
    """A duration in seconds, 0 at least: clocks of two machines may differ."""
    return f"clamp_min({expression}, 0)"


def ago(family: str, **labels: str) -> str:
    """The time since the newest of these timestamps, in seconds."""
    return age(f"time() - max({pick(family, **labels)})")


def total(expression: str, *labels: str) -> str:
    """The sum by these labels."""
    return f"sum by({', '.join(labels)}) ({expression})" if labels else f"sum({expression})"


def host_rate(family: str, **labels: str) -> str:
    """The per-second rate of a counter of hosts, each of which has one exporter."""
    return f"rate({pick(family, **labels)}[$__rate_interval])"


def quantile(share: float, family: str, **labels: str) -> str:
    """A quantile of a histogram from the API or StatsD over each step."""
    classic = total(rate(f"{family}_bucket", **labels), "le")
    native = total(f"avg {REPLICAS} (rate({pick(family, **labels)}[$__rate_interval]))")
    return _either_quantile(share, family, classic, native)


def _either_quantile(share: float, family: str, classic: str, native: str) -> str:
    """A quantile of the classic buckets, or of the native histogram where Prometheus has no classic ones."""
    found = f"histogram_quantile({share}, {classic}) >= 0"
    return f"{found} or histogram_quantile({share}, {native}) >= 0" if family in NATIVE else found


def largest(count: int, series: str, *labels: str) -> str:
    """The series with the largest average over the selected time range."""
    return f"{series} and on({', '.join(labels)}) topk({count}, avg_over_time({series}[$__range] @ end()))"


def busiest(count: int, family: str, *labels: str, **matchers: str) -> str:
    """Events per minute, for the label values with the most events in the selected time range."""
    gained = f"max {REPLICAS} (increase({pick(family, **matchers)}[$__range] @ end()))"
    most = f"topk({count}, {total(gained, *labels)} > 0)"
    return f"60 * {total(rate(family, **matchers), *labels)} and on({', '.join(labels)}) {most}"


def occurring(family: str, *labels: str) -> str:
    """Events per minute, for the label values with any event in the selected time range, summed over exporters."""
    gained = total(f"increase({pick(family)}[$__range] @ end())", *labels)
    return f"60 * {total(host_rate(family), *labels)} and on({', '.join(labels)}) ({gained} > 0)"


def host_quantile(share: float, family: str, **labels: str) -> str:
    """A quantile of a histogram of hosts over each step."""
    classic = total(host_rate(f"{family}_bucket", **labels), "le")
    return _either_quantile(share, family, classic, total(host_rate(family, **labels)))


def average(family: str, *labels: str) -> str:
    """The mean of a histogram over each step, by these labels."""
    return f"{total(rate(f'{family}_sum'), *labels)} / ({total(rate(f'{family}_count'), *labels)} > 0)"


def of_selected_dags(expression: str) -> str:
    """The series without those of DAGs whose owners or tags are not selected.

    DAGs that Airflow's API does not describe stay: with StatsD alone nothing is known of owners and tags.
    """
    others = " or ".join(
        f"max by(dag_id) ({pick('airflow_dag_info', **{label: f'!~{value}'})})"
        for label, value in DAG_SELECTION.items()
    )
    return f"({expression} unless on(dag_id) ({others}))"


def or_zero(expression: str, known: str) -> str:
    """The expression, or 0 where it has no series and `known` has one: the source is there, and nothing happened."""
    return f"{expression} or 0 * ({known})"


def statsd_per_minute(family: str, **labels: str) -> str:
    """Events per minute of a StatsD counter; 0 where none was received yet."""
    return or_zero(f"60 * {total(rate(family, **labels))}", STATSD_RECEIVED)
