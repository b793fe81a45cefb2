"""Users' own metrics: families created when their names arrive, limited in number."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from exporter.config.settings import StatsdSettings
from exporter.metrics.catalogue.families import FAMILIES
from exporter.metrics.catalogue.statsd import custom
from exporter.metrics.family import TARGET_LABELS, Family, Kind, Labels
from exporter.sources.statsd.airflow_names.event import TimerUnit
from exporter.sources.statsd.airflow_names.units import SenderContext, get_scale
from exporter.sources.statsd.model import Action, LineShape, MetricType, Resolution, Signature, SimilarLine, Target

MAX_FAMILIES = 500
MAX_LABELS = 10
MAX_NAME_LENGTH = 200
MAX_VALUE_LENGTH = 250
UNBOUNDED_TAGS = frozenset({"run_id", "job_id", "dagrun_id", "dag_run_id", "try_number", "try_id", "ti_id"})
"""Tags that never become labels: each run has other values."""
FOREIGN_LABELS = TARGET_LABELS | {"le", "quantile"}
"""Labels that belong to the scrape or to Prometheus."""
SUFFIXES = ("_total", "_count", "_sum", "_bucket", "_created", "_info")
"""Suffixes that are reserved for other kinds of samples: a gauge must not have them."""
TIME_ENDING = re.compile(r"_(seconds|milliseconds|millis|ms|s)\Z")
ILLEGAL = re.compile(r"[^a-zA-Z0-9_]")
KINDS = {
    MetricType.COUNTER: Kind.COUNTER,
    MetricType.GAUGE: Kind.GAUGE,
    MetricType.TIMER: Kind.HISTOGRAM,
    MetricType.HISTOGRAM: Kind.HISTOGRAM,
    MetricType.DISTRIBUTION: Kind.HISTOGRAM,
}
Claim = Callable[[], object] | None
ACTIONS = {Kind.COUNTER: Action.ADD, Kind.GAUGE: Action.SET, Kind.HISTOGRAM: Action.OBSERVE}


class RefusedShape(LineShape):
    """What becomes of all new names of one type while there are as many families as may be."""

    def __init__(self, kind: MetricType) -> None:
        super().__init__(Signature("", kind), Resolution("", drop="capped"))

    def resolve(self, ids: Sequence[str]) -> Resolution:
        """What becomes of the line with this name, its only id."""
        return Resolution(f"custom: {ids[0]}", drop="capped")


REFUSED = {kind: RefusedShape(kind) for kind in KINDS}


class CustomFamilies:
    """The families of users' metrics, by name and labels. They survive a reload of the configuration."""

    def __init__(self, settings: StatsdSettings, previous: CustomFamilies | None = None) -> None:
        self._allow, self._deny = settings.allow, settings.deny
        self._families: dict[tuple[str, tuple[str, ...]], Family] = previous._families if previous else {}
        self._kinds: dict[str, Kind] = previous._kinds if previous else {}
        self._taken: dict[str, str] = previous._taken if previous else list_reserved()

    def resolve(self, name: str, signature: Signature, now: SenderContext | None) -> Resolution:
        """What becomes of a user's metric; `name` has no prefix. The name of a new family is not reserved yet.

        `now` is what the unit of a timer depends on; None for other types.
        """
        rule = f"custom: {name}"
        if not self._admits(name):
            return Resolution(rule, drop="denied")
        family_name, kind = build_name(name, signature.type), KINDS[signature.type]
        if family_name not in self._kinds and self.is_full:
            # A flood of invented names ends here, before each costs labels and a family.
            return Resolution(rule, drop="capped")
        labels = build_labels(signature.tags) if signature.tags else {}
        family, claim = self._find(family_name, kind, name, tuple(labels))
        if isinstance(family, str):
            return Resolution(rule, drop=family)
        scale = get_scale(TimerUnit.CUSTOM, now) if now else 1.0
        values: Labels = tuple(labels.values())
        note = format_scale_note(scale, timer=now is not None)
        return Resolution(
            rule, (Target(family, values, ACTIONS[kind], scale),), note=note, plan=(family, scale), claim=claim
        )

    @property
    def is_full(self) -> bool:
        """Whether there are as many families as may be."""
        return len(self._families) >= MAX_FAMILIES

    def find_refused(self, name: str, kind: MetricType) -> SimilarLine | None:
        """The shape of a new name beyond the limit; None if it is to be looked up. `name` has no prefix."""
        if not self._admits(name) or build_name(name, kind) in self._kinds:
            return None
        return REFUSED[kind], (name,)

    def _admits(self, name: str) -> bool:
        if self._allow is not None and not self._allow.fullmatch(name):
            return False
        return self._deny is None or not self._deny.fullmatch(name)

    def _find(self, name: str, kind: Kind, sent: str, labels: tuple[str, ...]) -> tuple[Family | str, Claim]:
        """The family, with the function that reserves its name if it is new; or a reason, one of DROP_REASONS."""
        known = self._families.get((name, labels))
        if known is not None:
            return (known if known.kind is kind else "conflict"), None
        if self.is_full:
            # One in conflict is refused anyway.
            return "capped", None
        family = build_family(name, kind, sent, labels)
        refusal = self._check_name(family)
        return (refusal, None) if refusal else (family, lambda: self._keep(family))

    def restore_family(self, name: str, kind: Kind, labels: tuple[str, ...], text: str) -> Family | None:
        """A family that an earlier process created; None if it would not be created now."""
        known = self._families.get((name, labels))
        if known is not None or kind not in ACTIONS or not name.startswith(custom.PREFIX):
            return known
        family = replace(build_family(name, kind, "", labels), help=text)
        if self._check_name(family):
            return None
        self._keep(family)
        return family

    def release(self, families: Iterable[Family]) -> None:
        """Free the names of families whose last series expired, so that others may be made."""
        gone = [one for one in families if self._families.pop((one.name, one.labels), None) is not None]
        left = {name for name, _ in self._families} if gone else set()
        for family in gone:
            if family.name not in left:
                self._kinds.pop(family.name, None)
                for sample in list_samples(family.name, family.kind):
                    self._taken.pop(sample, None)

    def _check_name(self, family: Family) -> str:
        """Why a new family cannot have its name, one of DROP_REASONS; empty if it can."""
        name, samples = family.name, list_samples(family.name, family.kind)
        if self._kinds.get(name, family.kind) is not family.kind or any(
            self._taken.get(one, name) != name for one in samples
        ):
            return "conflict"
        if name not in self._kinds and name in self._taken:
            return "conflict"
        return "capped" if self.is_full else ""

    def _keep(self, family: Family) -> None:
        """Reserve the sample names of a family."""
        self._kinds[family.name] = family.kind
        self._taken.update(dict.fromkeys(list_samples(family.name, family.kind), family.name))
        self._families[family.name, family.labels] = family


def list_reserved() -> dict[str, str]:
    """The sample names of all declared families, with the name of the family."""
    return {name: family.name for family in FAMILIES for name in list_samples(family.name, family.kind)}


def format_scale_note(scale: float, *, timer: bool) -> str:
    """The note of `explain` about the unit of a timer; empty for other types."""
    if not timer:
        return ""
    return "taken as seconds" if scale == 1 else "milliseconds, converted to seconds"


def build_name(sent: str, sent_type: MetricType) -> str:
    """The name of the family: a counter `rows.read` becomes airflow_custom_rows_read_total."""
    name = custom.PREFIX + ILLEGAL.sub("_", sent)[:MAX_NAME_LENGTH]
    if sent_type is MetricType.COUNTER:
        return name.removesuffix("_total") + "_total"
    if sent_type is MetricType.TIMER:
        return TIME_ENDING.sub("", name) + "_seconds"
    return f"{name}_value" if name.endswith(SUFFIXES) else name


def build_family(name: str, kind: Kind, sent: str, labels: tuple[str, ...]) -> Family:
    """A family for a user's metric that was sent under the name `sent`."""
    return Family(
        name,
        kind,
        help=f"Sent by users as {ILLEGAL_IN_HELP.sub('_', sent[:MAX_NAME_LENGTH])}",
        labels=labels,
        source="statsd",
        reader="custom",
        buckets=custom.BUCKETS if kind is Kind.HISTOGRAM else (),
        cap=custom.CAP,
        ttl=custom.TTL if kind is Kind.GAUGE else 0.0,
        declared=False,
    )


ILLEGAL_IN_HELP = re.compile(r"[^\w.\-/]")


def list_samples(name: str, kind: Kind) -> tuple[str, ...]:
    """All sample names of a family, and the name in its OpenMetrics header."""
    if kind is Kind.HISTOGRAM:
        return (name, f"{name}_bucket", f"{name}_count", f"{name}_sum")
    return (name, name.removesuffix("_total")) if kind is Kind.COUNTER else (name,)


def build_labels(tags: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The labels of these tags, sorted by name, without unbounded ones, at most MAX_LABELS.

    A tag without a value is none: for Prometheus an empty label is the same as no label, so that the series of lines
    with and without the tag would be one series, twice in a scrape.
    """
    named = {
        build_label_name(tag): value[:MAX_VALUE_LENGTH] for tag, value in tags if value and tag not in UNBOUNDED_TAGS
    }
    return dict(sorted(named.items())[:MAX_LABELS])


def build_label_name(tag: str) -> str:
    """The label name of a tag. Names that belong to the scrape or to Prometheus get the prefix `tag_`."""
    name = ILLEGAL.sub("_", tag)[:MAX_NAME_LENGTH]
    if not name or name[0].isdigit() or name.startswith("__") or name in FOREIGN_LABELS:
        return f"tag_{name.strip('_')}"
    return name
