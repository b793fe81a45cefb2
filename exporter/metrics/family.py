"""Metric families: name, kind, labels, histogram buckets, cap on series, and the naming rules that each follows."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

Labels = tuple[str, ...]
"""Label values of one series, in the order in which its family declares the label names."""

NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
ANY_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
ANY_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
LABEL = re.compile(r"[a-z][a-z0-9_]*\Z")
TARGET_LABELS = frozenset({"instance", "job", "cluster", "env", "airflow"})
PREFIXES = ("airflow_", "process_", "python_")
OTHER = "_other"
"""The label value of series that were folded because a family reached its cap."""
MAPPED = "mapped"
"""The reader of families that a mapping file feeds beside Airflow's names; their series have a budget."""


class Kind(StrEnum):
    """The Prometheus type of a family."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"
    """Only from a user's mapping file, because quantiles of several senders cannot be merged."""


OWN_LABELS = {Kind.HISTOGRAM: "le", Kind.SUMMARY: "quantile"}
"""The label by which the lines of one series differ. No family in the catalogue may have it."""


class HistogramForm(StrEnum):
    """How histograms are exposed as protobuf; the text formats know classic ones only."""

    CLASSIC = "classic"
    NATIVE = "native"
    BOTH = "both"


class Merge(StrEnum):
    """How the values of several senders of one gauge are merged."""

    SUM = "sum"
    NEWEST = "newest"
    MAXIMUM = "maximum"


class FamilyError(ValueError):
    """A declaration breaks the naming rules."""


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """The declaration of one metric family.

    `origin` is where a value comes from (API field, StatsD name, `/proc` file). `closed` has the labels whose values
    are known in advance. `since` and `until` are the oldest and the newest Airflow that can feed it. A series of a
    family fed by events expires `ttl` seconds after the last event (0: never); `merge` is how a gauge merges several
    senders. A family created at run time is not `declared`: only Prometheus' rules apply to it, and it may share a name
    with others that have other labels. `objectives` are a summary's quantiles with their allowed errors, over the last
    `max_age` seconds in `age_buckets` steps. A `periodic` gauge is sent repeatedly while its object exists, and expires
    after three of its periods. `audience` says who uses a family that no dashboard, rule or alert uses. A `native_only`
    histogram has no buckets: it exists only where native histograms are switched on.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    source: str = "exporter"
    reader: str = ""
    origin: str = ""
    since: str = ""
    until: str = ""
    closed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    buckets: tuple[float, ...] = ()
    cap: int = 10_000
    ttl: float = 0.0
    merge: Merge = Merge.NEWEST
    declared: bool = True
    objectives: tuple[tuple[float, float], ...] = ()
    max_age: float = 600.0
    age_buckets: int = 5
    audience: str = ""
    periodic: bool = False
    native_only: bool = False

    def __post_init__(self) -> None:
        problem = find_problem(self)
        if problem:
            raise FamilyError(f"{self.name}: {problem}")

    @property
    def base_name(self) -> str:
        """The name without `_total`, as OpenMetrics writes it in HELP and TYPE of a counter."""
        return self.name.removesuffix("_total") if self.kind is Kind.COUNTER else self.name


def find_problem(family: Family) -> str | None:
    """What is wrong with a declaration, or None."""
    names = find_name_problem(family) or find_label_problem(family) if family.declared else find_invalid_name(family)
    return names or find_bucket_problem(family) or find_objective_problem(family)


def find_name_problem(family: Family) -> str | None:
    """What is wrong with the name, the kind or the help text, or None."""
    if not NAME.match(family.name) or not family.name.startswith(PREFIXES):
        return f"a name is lower case with underscores and begins with one of {', '.join(PREFIXES)}"
    if (family.kind is Kind.COUNTER) != family.name.endswith("_total"):
        return "counters, and only they, end in _total"
    if family.name.endswith("_info") and family.kind is not Kind.GAUGE:
        return "an _info family is a gauge"
    if not family.help or family.help.endswith("."):
        return "help is one sentence without a full stop"
    return None


def find_invalid_name(family: Family) -> str | None:
    """Why Prometheus would reject a family created at run time, or None."""
    if not ANY_NAME.match(family.name):
        return "Prometheus allows letters, digits, underscores and colons in a name"
    labels = family.labels
    if OWN_LABELS.get(family.kind) in labels or len(set(labels)) != len(labels):
        return "a label is reserved or named twice"
    if not all(ANY_LABEL.match(label) and not label.startswith("__") for label in labels):
        return "Prometheus allows letters, digits and single leading underscores in a label"
    return None


def find_label_problem(family: Family) -> str | None:
    """What is wrong with the label names, or None."""
    for label in family.labels:
        if not LABEL.match(label) or label.startswith("__"):
            return f"label {label!r} is not a lower case name"
        if label in TARGET_LABELS.union(OWN_LABELS.values()):
            return f"label {label!r} belongs to the scrape configuration or to Prometheus"
    if len(set(family.labels)) != len(family.labels):
        return "a label is named twice"
    if set(family.closed) - set(family.labels):
        return "closed values are given for a label that it does not have"
    return None


def find_bucket_problem(family: Family) -> str | None:
    """What is wrong with the buckets, or None."""
    if (family.kind is Kind.HISTOGRAM and not family.native_only) != bool(family.buckets):
        return "histograms, and only they, have buckets"
    ascending = all(low < high for low, high in pairwise(family.buckets))
    if not ascending or not all(map(math.isfinite, family.buckets)):
        return "buckets are finite and ascend (+Inf is implied)"
    return None


def find_objective_problem(family: Family) -> str | None:
    """What is wrong with the quantiles, or None."""
    if family.kind is not Kind.SUMMARY:
        return "only summaries have quantiles" if family.objectives else None
    if family.declared:
        return "a family of ours is a histogram, not a summary"
    quantiles = [quantile for quantile, _ in family.objectives]
    ascending = all(low < high for low, high in pairwise(quantiles))
    return None if ascending and all(0 <= one <= 1 for one in quantiles) else "quantiles lie between 0 and 1 and ascend"
