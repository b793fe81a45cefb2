"""Rewrites PromQL, alerts and dashboards so that further labels identify an Airflow, besides the label `airflow`.

Aggregations and vector matching name the labels that they keep: `by (airflow, dag_id)` becomes
`by (airflow, cluster, dag_id)`. Series of pods have no label `airflow`, but the same namespace may exist in each
cluster: `on (namespace, pod)` becomes `on (namespace, cluster, pod)`. `without` and `ignoring` name what they drop, and
stay. PromQL is read token by token, so that strings, comments and matchers are not changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile

from exporter.metrics.catalogue.families import FAMILIES

AIRFLOW = "airflow"
"""The first label of every identity."""
NAMESPACE = "namespace"
"""The label of pods beside which the further labels are kept."""
KEEPING_KEYWORDS = frozenset({"by", "on"})
"""Keywords before a list of labels to keep."""
TOKEN = re.compile(
    r"""\#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|[A-Za-z_:][\w:]*|\s+|.""",
    re.DOTALL,
)
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
RESERVED_LABELS = frozenset(
    {"instance", "pod", "le", "quantile", "alertname", "alertstate", "severity", "owners", "grafana", "runbooks"}
) | {label for family in FAMILIES for label in family.labels}
"""Labels with another meaning: they distinguish objects within one Airflow."""
AIRFLOW_NAME = "{{ with $labels.airflow }} {{ . }}{{ end }}"
"""The name of the Airflow in texts of alerts."""
LINK_PARAMETER = re.compile(r"(var-)?airflow=\{\{ \$labels\.airflow \| urlquery \}\}")
"""The parameter with the Airflow in links of alerts."""
QUERY_CALL = re.compile(r'(\w+\{airflow=%q)((?:,\w+=%q)*\}" \$labels\.airflow)')
"""A query in a template of an alert."""
DASHBOARD_MATCHER = 'airflow="$airflow"'
"""The matcher with the Airflow in queries of dashboards."""
DASHBOARD_PARAMETER = "${airflow:queryparam}"
"""The parameter with the Airflow in links of dashboards."""
ROW_PARAMETER = 'var-airflow=${__data.fields["Airflow"]:percentencode}'
"""The parameter with the Airflow in links of the table of all Airflows."""


class IdentityError(ValueError):
    """A label that cannot identify an Airflow."""


def parse_identity(text: str) -> tuple[str, ...]:
    """Parse `airflow,cluster,namespace`; `airflow` must be first. Raises IdentityError, which says what to write."""
    labels = [label.strip() for label in text.split(",")]
    if labels[0] != AIRFLOW:
        raise IdentityError(f"{text}: write {AIRFLOW} first, then the further labels, as in {AIRFLOW},cluster")
    for label in labels:
        if not LABEL.match(label) or label.startswith("__"):
            raise IdentityError(f"{label or text}: this is not a label name")
        if label in RESERVED_LABELS:
            raise IdentityError(f"{label}: cannot identify an Airflow, because it distinguishes objects within one")
        if labels.count(label) > 1:
            raise IdentityError(f"{label}: given twice")
    return tuple(labels)


def rewrite_promql(expression: str, further: Sequence[str]) -> str:
    """Add the further labels in every list of labels that `by` or `on` keeps and that has `airflow` or `namespace`."""
    return "".join(_rewrite_tokens(TOKEN.findall(expression), further))


def _rewrite_tokens(tokens: Iterable[str], further: Sequence[str]) -> Iterator[str]:
    """Yield the tokens; after `by` or `on`, lists in parentheses with the further labels."""
    remaining, before = iter(tokens), ""
    for word in remaining:
        yield word
        if word == "(" and before in KEEPING_KEYWORDS:
            yield from _rewrite_list(list(takewhile(lambda one: one != ")", remaining)), further)
            yield ")"
        if not (word.isspace() or word.startswith("#")):
            before = word.lower()


def _rewrite_list(tokens: Sequence[str], further: Sequence[str]) -> Iterator[str]:
    """Yield the tokens of a list of labels; `airflow`, or else `namespace`, is followed by the further labels."""
    anchor = AIRFLOW if AIRFLOW in tokens else NAMESPACE
    for word in tokens:
        yield ", ".join((word, *further)) if word == anchor else word


def rewrite_template(text: str, further: Sequence[str]) -> str:
    """Add the further labels to the names, links and queries in a text of an alert."""
    names = "".join(f"{{{{ with $labels.{label} }}}} {label}={{{{ . }}}}{{{{ end }}}}" for label in further)
    matchers = "".join(f",{label}=%q" for label in further)
    values = "".join(f" $labels.{label}" for label in further)
    text = LINK_PARAMETER.sub(
        lambda link: link[0] + format_link_parameters(link[1] or "", further),
        text.replace(AIRFLOW_NAME, AIRFLOW_NAME + names),
    )
    return QUERY_CALL.sub(lambda found: found[1] + matchers + found[2] + values, text)


def format_link_parameters(prefix: str, further: Sequence[str]) -> str:
    """The link parameters of the further labels."""
    return "".join(f"&{prefix}{label}={{{{ $labels.{label} | urlquery }}}}" for label in further)


def rewrite_dashboard_text(text: str, further: Sequence[str]) -> str:
    """Add the variables of the further labels to a query or link of a dashboard."""
    matchers = "".join(f', {label}="${label}"' for label in further)
    passed_on = "".join(f"&${{{label}:queryparam}}" for label in further)
    of_row = "".join(f'&var-{label}=${{__data.fields["{label}"]:percentencode}}' for label in further)
    text = text.replace(DASHBOARD_MATCHER, DASHBOARD_MATCHER + matchers)
    text = text.replace(DASHBOARD_PARAMETER, DASHBOARD_PARAMETER + passed_on)
    return text.replace(ROW_PARAMETER, ROW_PARAMETER + of_row)
