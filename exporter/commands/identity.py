"""Rewrites PromQL, alert texts and dashboards so that further labels, beside `airflow`, say which Airflow it is.

Aggregations and vector matching name the labels that they keep: `by (airflow, dag_id)` becomes
`by (airflow, cluster, dag_id)`. `without` and `ignoring` name what they drop, and stay. PromQL is read token by token,
so that strings, comments and matchers are never mistaken for such a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from exporter.metrics.catalogue.families import FAMILIES

AIRFLOW = "airflow"
"""The label that is always there, and the first."""
KEEPING = frozenset({"by", "on"})
"""Keywords before a list of labels that are kept."""
TOKEN = re.compile(
    r"""\#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|[A-Za-z_:][\w:]*|\s+|.""",
    re.DOTALL,
)
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
TAKEN = frozenset(
    {"instance", "pod", "le", "quantile", "alertname", "alertstate", "severity", "owners", "grafana", "runbooks"}
) | {label for family in FAMILIES for label in family.labels}
"""Labels that tell apart what belongs to one Airflow."""
NAMED = "{{ with $labels.airflow }} {{ . }}{{ end }}"
"""How texts of alerts name their Airflow."""
LINKED = re.compile(r"(var-)?airflow=\{\{ \$labels\.airflow \| urlquery \}\}")
"""How links of alerts choose the Airflow of a dashboard or a runbook."""
QUERIED = re.compile(r'(\w+\{airflow=%q)((?:,\w+=%q)*\}" \$labels\.airflow)')
"""How templates of alerts ask for a series of their Airflow."""
CHOSEN = 'airflow="$airflow"'
"""How queries of dashboards choose their Airflow."""
PASSED_ON = "${airflow:queryparam}"
"""How links of dashboards keep it."""
ROW_CHOSEN = 'var-airflow=${__data.fields["Airflow"]:percentencode}'
"""How links in the table of all Airflows choose the one of a row."""


class IdentityError(ValueError):
    """A label that cannot identify an Airflow."""


def parse_identity(text: str) -> tuple[str, ...]:
    """The labels of `airflow,cluster,namespace`, `airflow` first. Raises IdentityError, which says what to write."""
    labels = [label.strip() for label in text.split(",")]
    if labels[0] != AIRFLOW:
        raise IdentityError(f"{text}: write {AIRFLOW} first, then the further labels, as in {AIRFLOW},cluster")
    for label in labels:
        if not LABEL.match(label) or label.startswith("__"):
            raise IdentityError(f"{label or text}: not the name of a label")
        if label in TAKEN:
            raise IdentityError(f"{label}: this label tells apart what belongs to one Airflow, not Airflows")
        if labels.count(label) > 1:
            raise IdentityError(f"{label}: named twice")
    return tuple(labels)


def rewrite_promql(expression: str, further: Sequence[str]) -> str:
    """The expression with the further labels beside `airflow` in every list of labels that are kept."""
    return "".join(_rewrite_tokens(TOKEN.findall(expression), ", ".join((AIRFLOW, *further))))


def _rewrite_tokens(tokens: Sequence[str], labels: str) -> Iterator[str]:
    """Yield the tokens; `airflow` within parentheses after a keyword that keeps labels becomes all of them."""
    before, inside = "", False
    for word in tokens:
        inside = before in KEEPING if word == "(" else inside and word != ")"
        yield labels if inside and word == AIRFLOW else word
        if not (word.isspace() or word.startswith("#")):
            before = word.lower()


def rewrite_template(text: str, further: Sequence[str]) -> str:
    """A text of an alert: names, links and queries go by the further labels too."""
    named = "".join(f"{{{{ with $labels.{label} }}}} {label}={{{{ . }}}}{{{{ end }}}}" for label in further)
    matchers = "".join(f",{label}=%q" for label in further)
    values = "".join(f" $labels.{label}" for label in further)
    text = LINKED.sub(lambda link: link[0] + choose_in_link(link[1] or "", further), text.replace(NAMED, NAMED + named))
    return QUERIED.sub(lambda found: found[1] + matchers + found[2] + values, text)


def choose_in_link(prefix: str, further: Sequence[str]) -> str:
    """The parameters of a link for further labels."""
    return "".join(f"&{prefix}{label}={{{{ $labels.{label} | urlquery }}}}" for label in further)


def rewrite_query(text: str, further: Sequence[str]) -> str:
    """A query or a link of a dashboard: it goes by the variables of the further labels too."""
    matchers = "".join(f', {label}="${label}"' for label in further)
    passed_on = "".join(f"&${{{label}:queryparam}}" for label in further)
    of_row = "".join(f'&var-{label}=${{__data.fields["{label}"]:percentencode}}' for label in further)
    text = text.replace(CHOSEN, CHOSEN + matchers).replace(PASSED_ON, PASSED_ON + passed_on)
    return text.replace(ROW_CHOSEN, ROW_CHOSEN + of_row)
