"""Parses and checks a mapping file; reports all problems at once, each with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from exporter.metrics.family import Kind
from exporter.sources.statsd.mapping.reader import SectionReader
from exporter.sources.statsd.mapping.regex import PatternError, RegexPattern, compile_pattern

MAX_SEGMENTS = 100
"""Patterns with more segments are rejected."""
MAX_MAPPINGS = 10_000
"""Files with more mappings are rejected."""
REFERENCE = r"\$\{?[0-9]+\}?"
GLOB = re.compile(r"(?:\*|[a-zA-Z_][a-zA-Z0-9_-]*)(?:\.(?:\*|[a-zA-Z0-9_][a-zA-Z0-9_-]*))*\Z")
NAME = re.compile(rf"(?:[a-zA-Z_]|{REFERENCE})(?:[a-zA-Z0-9_]|{REFERENCE})*\Z")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]+\Z")
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
QUANTILES = ((0.5, 0.05), (0.9, 0.01), (0.99, 0.001))
DEFAULT_MAX_AGE = 600.0
"""Seconds that a summary covers by default."""
DEFAULT_AGE_BUCKETS = 5
"""Parts of that time by which a summary advances."""
MAX_AGE_BUCKETS = 100
OBSERVERS = {"": Kind.SUMMARY, "summary": Kind.SUMMARY, "histogram": Kind.HISTOGRAM}
LEGACY_DEFAULTS = ("timer_type", "buckets", "quantiles")
DEFAULTS = ("observer_type", "match_type", "glob_disable_ordering", "ttl", "summary_options", "histogram_options")
KEYS = (
    *("match", "name", "labels", "honor_labels", "observer_type", "match_type", "help", "action", "match_metric_type"),
    *("ttl", "summary_options", "histogram_options", "scale", *LEGACY_DEFAULTS),
)


class MappingError(ValueError):
    """An invalid mapping file; `problems` has one line per problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class ObserverOptions(NamedTuple):
    """How timers and histograms are exposed."""

    kind: Kind = Kind.SUMMARY
    buckets: tuple[float, ...] = BUCKETS
    quantiles: tuple[tuple[float, float], ...] = QUANTILES
    max_age: float = DEFAULT_MAX_AGE
    age_buckets: int = DEFAULT_AGE_BUCKETS
    buf_cap: int = 0
    """Size of a buffer in Go: accepted, without effect here."""


class Defaults(NamedTuple):
    """The defaults of mappings, and of names without a mapping."""

    options: ObserverOptions = ObserverOptions()
    observer: str = ""
    """The observer type; empty if the file has none."""
    regex: bool = False
    ordered: bool = True
    ttl: float = 0.0


class MappingRule(NamedTuple):
    """One mapping."""

    position: int
    match: str
    name: str
    labels: Mapping[str, str]
    options: ObserverOptions
    regex: RegexPattern | None = None
    metric_type: str = ""
    drop: bool = False
    honor_labels: bool = False
    ttl: float = 0.0
    scale: float = 1.0
    help: str = ""

    @property
    def title(self) -> str:
        return f"mappings[{self.position}] {self.match}"


class MappingFile(NamedTuple):
    """A parsed mapping file."""

    defaults: Defaults
    rules: tuple[MappingRule, ...]


def parse_file(text: str) -> MappingFile:
    """Parse the text of a mapping file. Raises MappingError with every problem."""
    # PyYAML takes a tenth of the exporter's start, and most exporters have no mapping file.
    from exporter.sources.statsd.mapping.yaml_text import load_yaml  # noqa: PLC0415

    reader = SectionReader(load_yaml(text))
    reader.allow("defaults", "mappings", *(key for key in reader.list_keys() if key.startswith("x-")))
    defaults = read_defaults(reader.section("defaults"))
    rules = tuple(read_rule(index, part, defaults) for index, part in enumerate(reader.sections("mappings")))
    if len(rules) > MAX_MAPPINGS:
        reader.add_problem("mappings", f"are {len(rules)}: {MAX_MAPPINGS} may be")
    if reader.problems:
        raise MappingError(reader.problems)
    return MappingFile(defaults, rules)


def read_defaults(reader: SectionReader) -> Defaults:
    """The section `defaults`."""
    reader.allow(*DEFAULTS, *LEGACY_DEFAULTS)
    return Defaults(
        options=read_options(reader, ObserverOptions()),
        observer=reader.text("observer_type") or reader.text("timer_type"),
        regex=reader.choice("match_type", "", "glob", "regex") == "regex",
        ordered=not reader.flag("glob_disable_ordering"),
        ttl=reader.duration("ttl"),
    )


def read_rule(index: int, reader: SectionReader, defaults: Defaults) -> MappingRule:
    """One entry of `mappings`."""
    reader.allow(*KEYS)
    by_regex = reader.choice("match_type", "", "glob", "regex") or ("regex" if defaults.regex else "glob")
    check_options(reader, defaults)
    if by_regex == "glob":
        check_glob(reader)
    return MappingRule(
        position=index,
        match=reader.text("match"),
        name=read_name(reader),
        labels=read_labels(reader.section("labels")),
        options=read_options(reader, defaults.options),
        regex=read_pattern(reader) if by_regex == "regex" else None,
        metric_type=reader.choice("match_metric_type", "", "counter", "gauge", "observer", "timer"),
        drop=reader.choice("action", "", "map", "drop") == "drop",
        honor_labels=reader.flag("honor_labels"),
        ttl=reader.duration("ttl") or defaults.ttl,
        scale=reader.number("scale", 1.0),
        help=reader.text("help"),
    )


def read_name(reader: SectionReader) -> str:
    """The name of the metric, which may contain references."""
    name = reader.text("name")
    if not name:
        reader.add_problem("name", "is missing: give the metric a name (a dropped one needs a name too)")
    elif not NAME.match(name):
        reader.add_problem(
            "name", f"{name[:200]!r} may have letters, digits, underscores and references such as ${{1}}"
        )
    return name


def read_labels(reader: SectionReader) -> dict[str, str]:
    """The templates of labels, by label name."""
    labels = {name: reader.text(name) for name in reader.list_keys()}
    for name in labels:
        if not LABEL.match(name):
            reader.add_problem(name, "a label has two or more letters, digits and underscores, no digit first")
    return labels


def check_glob(reader: SectionReader) -> None:
    """Report a `match` that is not a valid glob."""
    match = reader.text("match")
    if not match:
        reader.add_problem("match", "is missing: say which StatsD names the mapping is for")
    elif not GLOB.match(match) or match.count(".") >= MAX_SEGMENTS:
        reader.add_problem(
            "match", f"{match[:200]!r} has segments of letters, digits, - and _, or *; use match_type: regex"
        )


def read_pattern(reader: SectionReader) -> RegexPattern | None:
    """The compiled regular expression of `match`; None, with a problem, if it is invalid."""
    try:
        return compile_pattern(reader.text("match"))
    except PatternError as error:
        reader.add_problem("match", f"is not a valid regular expression: {error}")
        return None


def check_options(reader: SectionReader, defaults: Defaults) -> None:
    """Report options of the other observer type, and options that are set twice."""
    observer = reader.text("observer_type") or reader.text("timer_type") or defaults.observer
    if observer in OBSERVERS and observer:
        other = "summary_options" if observer == "histogram" else "histogram_options"
        if reader.value(other) is not None:
            reader.add_problem(other, f"cannot stand beside observer_type: {observer}")
    for key, section in (("quantiles", "summary_options"), ("buckets", "histogram_options")):
        if reader.value(key) is not None and reader.section(section).value(key) is not None:
            reader.add_problem(key, f"stands twice: keep the one in {section}")


def read_options(reader: SectionReader, base: ObserverOptions) -> ObserverOptions:
    """The options of a mapping or of the defaults, on top of `base`; deprecated keys count as well."""
    observer = reader.choice("observer_type", *OBSERVERS)
    timer = reader.choice("timer_type", *OBSERVERS)
    summary, histogram = reader.section("summary_options"), reader.section("histogram_options")
    summary.allow("quantiles", "max_age", "age_buckets", "buf_cap")
    histogram.allow("buckets", "native_histogram_bucket_factor", "native_histogram_max_buckets")
    histogram.number("native_histogram_bucket_factor", 0.0)
    histogram.whole("native_histogram_max_buckets")
    old_buckets, old_quantiles = reader.buckets("buckets"), reader.quantiles("quantiles")
    return ObserverOptions(
        kind=OBSERVERS[observer or timer] if observer or timer else base.kind,
        buckets=histogram.buckets("buckets") or old_buckets or base.buckets,
        quantiles=summary.quantiles("quantiles") or old_quantiles or base.quantiles,
        max_age=summary.duration("max_age") or base.max_age,
        age_buckets=summary.whole("age_buckets", MAX_AGE_BUCKETS) or base.age_buckets,
        buf_cap=summary.whole("buf_cap") or base.buf_cap,
    )
