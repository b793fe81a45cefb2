"""PromQL that repeats: one Airflow's series, two exporters of it reduced to one, rates before sums."""

from __future__ import annotations

OPERATORS = {"": "=", "!": "!=", "~": "=~", "!~": "!~"}
REPLICAS = "without(instance, pod)"
"""Labels by which two exporters that read the same Airflow differ."""
DAG = {"dag_id": "$dag_id"}
TASK = {**DAG, "task_id": "$task_id"}
HOST = {"instance": "~$worker"}
API_READ = 'max(airflow_source:up:max{airflow="$airflow", source="airflow"})'
STATSD_HEARD = 'sum(airflow_exporter_statsd_lines_total{airflow="$airflow"}) > 0'


def pick(family: str, **labels: str) -> str:
    """The series of the chosen Airflow; a value may begin with !, ~ or !~ for another comparison than equality."""
    matchers = "".join(f", {_matcher(name, value)}" for name, value in labels.items())
    return f'{family}{{airflow="$airflow"{matchers}}}'


def _matcher(name: str, value: str) -> str:
    sign = next((sign for sign in ("!~", "~", "!") if value.startswith(sign)), "")
    return f'{name}{OPERATORS[sign]}"{value.removeprefix(sign)}"'


def one(family: str, **labels: str) -> str:
    """A gauge of Airflow's, as if only one exporter read it."""
    return f"max {REPLICAS} ({pick(family, **labels)})"


def rate(family: str, **labels: str) -> str:
    """What a counter of Airflow's gains a second, as if only one exporter read it."""
    return f"max {REPLICAS} (rate({pick(family, **labels)}[$__rate_interval]))"


def increase(family: str, **labels: str) -> str:
    """What a counter of Airflow's gained in all the time that is shown, as if only one exporter read it."""
    return f"max {REPLICAS} (increase({pick(family, **labels)}[$__range]))"


def age(expression: str) -> str:
    """How long ago or until then, in seconds; 0 where the clocks of two machines would make it less."""
    return f"clamp_min({expression}, 0)"


def ago(family: str, **labels: str) -> str:
    """How long ago the newest of these moments was, in seconds."""
    return age(f"time() - max({pick(family, **labels)})")


def total(expression: str, *labels: str) -> str:
    """The sum, by these labels."""
    return f"sum by({', '.join(labels)}) ({expression})" if labels else f"sum({expression})"


def host_rate(family: str, **labels: str) -> str:
    """What a counter of a host gains a second; each host is read by its own exporter."""
    return f"rate({pick(family, **labels)}[$__rate_interval])"


def quantile(share: float, family: str, **labels: str) -> str:
    """A quantile of a histogram of Airflow's over each step."""
    buckets = total(rate(f"{family}_bucket", **labels), "le")
    return f"histogram_quantile({share}, {buckets}) >= 0"


def largest(count: int, series: str, *labels: str) -> str:
    """Those of these series that are largest over all the time shown."""
    return f"{series} and on({', '.join(labels)}) topk({count}, avg_over_time({series}[$__range] @ end()))"


def busiest(count: int, family: str, *labels: str, **matchers: str) -> str:
    """How often, a minute, for those label values for which it was most often in all the time shown."""
    gained = f"max {REPLICAS} (increase({pick(family, **matchers)}[$__range] @ end()))"
    most = f"topk({count}, {total(gained, *labels)} > 0)"
    return f"60 * {total(rate(family, **matchers), *labels)} and on({', '.join(labels)}) {most}"


def occurring(family: str, *labels: str) -> str:
    """How often, a minute, by label values for which it was at all in the time shown; of every exporter."""
    gained = total(f"increase({pick(family)}[$__range] @ end())", *labels)
    return f"60 * {total(host_rate(family), *labels)} and on({', '.join(labels)}) ({gained} > 0)"


def host_quantile(share: float, family: str, **labels: str) -> str:
    """A quantile of a histogram of hosts over each step; each host tells of its own tasks."""
    return f"histogram_quantile({share}, {total(host_rate(f'{family}_bucket', **labels), 'le')}) >= 0"


def average(family: str, *labels: str) -> str:
    """The mean of a histogram of Airflow's over each step, by these labels."""
    return f"{total(rate(f'{family}_sum'), *labels)} / ({total(rate(f'{family}_count'), *labels)} > 0)"


def or_zero(expression: str, known: str) -> str:
    """The expression, or 0 where there is nothing to count but somebody who would have told: `known`."""
    return f"{expression} or 0 * ({known})"


def heard(family: str, **labels: str) -> str:
    """How often StatsD told of something, a minute; 0 where it never did."""
    return or_zero(f"60 * {total(rate(family, **labels))}", STATSD_HEARD)
