"""Which series an expression reads and which labels its answer has: from the catalogue and the recording rules.

    Labels().of("sum by(dag_id) (rate(airflow_task_tries_total[5m]))")   # {"dag_id"}

A metric that nothing exposes, a matcher on a label that it has not, and a grouping by a label that is not there (any
more) raise QueryError: in Prometheus each of them is silently empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import promql_parser as ast
import yaml

from exporter.collect.histograms import NATIVE_SOURCES
from exporter.metrics.catalogue.families import FAMILIES
from exporter.metrics.family import Kind

NATIVE = {family.name for family in FAMILIES if family.kind is Kind.HISTOGRAM and family.source in NATIVE_SOURCES}
"""Histograms that have a native form, a series with the family's name."""

RULES = Path(__file__).resolve().parents[2] / "prometheus" / "rules"
TARGET = frozenset({"airflow", "instance", "job"})
"""Labels that the scrape gives every series."""
OPTIONAL = frozenset({"pod", "namespace", "container", "endpoint", "service"})
"""Labels that Kubernetes' operators add: may be dropped, never relied on."""
OF_ALERTS = frozenset(
    {"alertname", "severity", "component", "dag_id", "pool", "file", "executor", "source", "reader", "family"}
    | {"process", "cgroup", "mountpoint", "reason", "object", "queue", "error_class", "cost"}
)
"""Labels that alerts have; each has those of its own expression."""
OF_PROMETHEUS: Mapping[str, frozenset[str]] = {
    "up": TARGET,
    "scrape_duration_seconds": TARGET,
    "scrape_samples_scraped": TARGET,
    "ALERTS": TARGET | OF_ALERTS | {"alertstate"},
    "ALERTS_FOR_STATE": TARGET | OF_ALERTS,
}
OF_POD = frozenset({"namespace", "pod", "uid", "airflow"}) | TARGET
OF_CONTAINER = frozenset({"namespace", "pod", "container", "id", "image", "name", "airflow"}) | TARGET
OF_KUBERNETES: Mapping[str, frozenset[str]] = {
    "kube_pod_labels": OF_POD
    | {f"label_{name}" for name in ("dag_id", "task_id", "try_number", "run_id", "map_index")},
    "kube_pod_annotations": OF_POD | {f"annotation_{name}" for name in ("dag_id", "task_id", "try_number", "run_id")},
    "kube_pod_created": OF_POD,
    "kube_pod_status_phase": OF_POD | {"phase"},
    "kube_pod_status_reason": OF_POD | {"reason"},
    "kube_pod_status_unschedulable": OF_POD,
    "kube_pod_container_status_waiting_reason": OF_POD | {"container", "reason"},
    "kube_pod_init_container_status_waiting_reason": OF_POD | {"container", "reason"},
    "kube_pod_container_status_terminated_reason": OF_POD | {"container", "reason"},
    "kube_pod_container_status_last_terminated_reason": OF_POD | {"container", "reason"},
    "kube_pod_container_status_restarts_total": OF_POD | {"container"},
    "kube_pod_container_resource_limits": OF_POD | {"container", "node", "resource", "unit"},
    "container_cpu_usage_seconds_total": OF_CONTAINER | {"cpu"},
    "container_memory_working_set_bytes": OF_CONTAINER,
    "container_oom_events_total": OF_CONTAINER,
    "container_network_receive_bytes_total": OF_CONTAINER - {"container"} | {"interface"},
    "container_network_transmit_bytes_total": OF_CONTAINER - {"container"} | {"interface"},
}
"""What kube-state-metrics and cAdvisor send. The label `airflow` is only there where the operator adds it."""
SET_OPERATORS = {"and", "or", "unless"}
KEEPS = {"sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "quantile"}
PICKS = {"topk", "bottomk", "limitk", "limit_ratio"}
SCALARS = {"scalar", "vector", "time", "pi"}


class QueryError(ValueError):
    """An expression that Prometheus would answer with nothing."""


def exposed() -> dict[str, frozenset[str]]:
    """Every name of a sample that the exporter can expose, and its labels."""
    found: dict[str, frozenset[str]] = {}
    for family in FAMILIES:
        labels = TARGET | set(family.labels)
        if family.kind is Kind.HISTOGRAM:
            found |= {f"{family.name}_sum": labels, f"{family.name}_count": labels}
            found[f"{family.name}_bucket"] = labels | {"le"}
            if family.name in NATIVE:
                found[family.name] = labels
        else:
            found[family.name] = labels
    return found


def rules(folder: Path = RULES) -> Iterator[dict[str, Any]]:
    """Yield every rule, as its file has it."""
    for file in sorted(folder.glob("*.yml")):
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]:
            yield from group["rules"]


class Labels:
    """Answers with the labels of expressions, recorded series among them."""

    def __init__(self, folder: Path = RULES) -> None:
        self._known = {**exposed(), **OF_PROMETHEUS, **OF_KUBERNETES}
        self._rules = [rule for rule in rules(folder) if "record" in rule]

    def of(self, expression: str) -> frozenset[str]:
        """The labels that its answer has at most."""
        try:
            return self._of(ast.parse(expression))
        except QueryError as error:
            raise QueryError(f"{error} in: {expression}") from None

    def series(self, name: str) -> frozenset[str]:
        """The labels of a metric or of a recorded series."""
        if name not in self._known:
            recorded = [rule for rule in self._rules if rule["record"] == name]
            if not recorded:
                raise QueryError(f"{name} is neither exposed nor recorded")
            # A rule that reads its own past adds no label to those that it records.
            self._known[name] = frozenset({"airflow"})
            self._known[name] = frozenset().union(
                *(self.of(rule["expr"]) | set(rule.get("labels", {})) for rule in recorded)
            )
        return self._known[name]

    def _of(self, node: Any) -> frozenset[str]:
        match node:
            case ast.VectorSelector():
                return self._of_selector(node)
            case ast.MatrixSelector():
                return self._of_selector(node.vector_selector)
            case ast.AggregateExpr():
                return self._of_aggregate(node)
            case ast.BinaryExpr():
                return self._of_binary(node)
            case ast.Call():
                return self._of_call(node)
            case ast.ParenExpr() | ast.SubqueryExpr() | ast.UnaryExpr():
                return self._of(node.expr)
            case _:
                return frozenset()

    def _of_selector(self, selector: ast.VectorSelector) -> frozenset[str]:
        matchers = selector.matchers.matchers
        name = selector.name or next((m.value for m in matchers if m.name == "__name__"), None)
        if name is None:
            raise QueryError("a selector without a name")
        of_each = [self.series(one) for one in name.split("|")]
        # Of several metrics some may lack a label: a matcher that accepts the empty value selects them too.
        demand(
            {matcher.name for matcher in matchers} - {"__name__"}, frozenset().union(*of_each), f"a matcher of {name}"
        )
        return frozenset.intersection(*of_each)

    def _of_aggregate(self, node: ast.AggregateExpr) -> frozenset[str]:
        inner = self._of(node.expr)
        if str(node.op) in PICKS:
            return inner
        added = {getattr(node.param, "val", "")} if str(node.op) == "count_values" else set()
        if node.modifier is None:
            return frozenset(added)
        named = set(node.modifier.labels)
        if node.modifier.type == ast.AggModifierType.By:
            demand(named, inner, str(node.op))
            return frozenset(named | added)
        return inner - named | added

    def _of_binary(self, node: ast.BinaryExpr) -> frozenset[str]:
        left, right = self._of(node.lhs), self._of(node.rhs)
        matching = node.modifier.matching if node.modifier else None
        if matching and matching.type == ast.LabelModifierType.Exclude:
            demand(set(matching.labels) - OPTIONAL, left | right, f"matching of {node.op}")
        elif matching:
            for side in (left, right):
                demand(set(matching.labels) - OPTIONAL, side, f"matching of {node.op}")
        if str(node.op) in SET_OPERATORS:
            return left | right if str(node.op) == "or" else left
        if is_scalar(node.lhs) or is_scalar(node.rhs):
            return left | right
        if not matching and left != right:
            raise QueryError(f"{sorted(left)} {node.op} {sorted(right)} match nothing")
        return self._joined(node, left, right)

    def _joined(self, node: ast.BinaryExpr, left: frozenset[str], right: frozenset[str]) -> frozenset[str]:
        matching, card = node.modifier and node.modifier.matching, node.modifier and node.modifier.card
        extra = set(node.modifier.group_labels or ()) if node.modifier else set()
        if card == ast.VectorMatchCardinality.ManyToOne:
            demand(extra, right, "group_left")
            return left | extra
        if card == ast.VectorMatchCardinality.OneToMany:
            demand(extra, left, "group_right")
            return right | extra
        if not matching or str(node.op) in {">", "<", ">=", "<=", "==", "!="}:
            return left
        included = matching.type == ast.LabelModifierType.Include
        return frozenset(matching.labels) if included else left - set(matching.labels)

    def _of_call(self, node: ast.Call) -> frozenset[str]:
        name = node.func.name
        if name in SCALARS:
            return frozenset(label for argument in node.args for label in self._of(argument) if name == "none")
        inner: frozenset[str] = frozenset().union(*(self._of(argument) for argument in node.args))
        if name == "histogram_quantile":
            if not NATIVE.intersection(re.findall(r"\w+", node.prettify())):
                demand({"le"}, inner, name)
            return inner - {"le"}
        if name == "label_join":
            demand({argument.val for argument in node.args[3:]}, inner, name)
            return inner | {node.args[1].val}
        if name == "label_replace":
            demand({node.args[3].val}, inner, name)
            return inner | {node.args[1].val}
        return inner


def is_scalar(node: Any) -> bool:
    """Whether an expression is a number, not a set of series."""
    match node:
        case ast.NumberLiteral():
            return True
        case ast.ParenExpr() | ast.UnaryExpr():
            return is_scalar(node.expr)
        case ast.BinaryExpr():
            return is_scalar(node.lhs) and is_scalar(node.rhs)
        case ast.Call():
            return node.func.name in SCALARS - {"vector"}
        case _:
            return False


def demand(needed: set[str], labels: frozenset[str], what: str) -> None:
    """Raise unless the labels that are needed are there."""
    missing = needed - labels
    if missing:
        raise QueryError(f"{what}: no label {', '.join(sorted(missing))}")


def walk(node: Any) -> Iterator[Any]:
    """Yield an expression and all that is in it, outermost first."""
    yield node
    inner = [getattr(node, part, None) for part in ("lhs", "rhs", "expr", "vector_selector", "param")]
    for part in (*inner, *(getattr(node, "args", None) or ())):
        if part is not None and not isinstance(part, str):
            yield from walk(part)
