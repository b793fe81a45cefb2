"""The texts of `explain`: why a metric is missing, or why it has its value."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from exporter.sources.statsd.compiler import check_value
from exporter.sources.statsd.model import Action, Dialects, MetricType, Resolution, Resolver, Sample, Signature, Target

UNITS = {MetricType.TIMER: " ms"}
VERBS = {Action.ADD: "adds", Action.SET: "is set to", Action.OBSERVE: "observes"}
DROPS = {
    "twin": "Airflow sends this event under two names; the other one counts",
    "fed_by_api": "the API feeds this metric; StatsD feeds it only with --no-collector.airflow",
    "denied": "the configuration excludes it",
    "zero_series": "a zero for a state that this task never reaches",
    "unknown_unit": "whether Airflow sends seconds or milliseconds is not known yet",
    "undecided": "whether Airflow sends tags is not known yet; set --statsd.mode",
    "unclear": "the value is not what the name says in this release, or needs tags",
    "unmapped": "there is no metric for this name",
    "capped": "the metric has as many series as its cap allows",
    "mapped_drop": "the mapping file says `action: drop`",
    "conflict": "another type was sent, or the metric exists with other labels",
    "telemetry": "of the sender's StatsD client, not of Airflow",
    "no_name": "the mapping file makes an empty name of it",
    "mapped_capped": "the metric of the mapping file has as many series as its cap allows",
    "mapped_conflict": "the metric of the mapping file exists with another type or other labels",
}
"""What the reasons mean why a line feeds nothing."""
EXAMPLES = 3
"""Example lines per group in a summary."""


class ParsedLine(Protocol):
    """The result of parsing one line."""

    @property
    def samples(self) -> Sequence[Sample]: ...

    @property
    def rejected(self) -> Sequence[str]: ...


class Parser(NamedTuple):
    """The functions that split datagrams into lines and parse lines."""

    split_lines: Callable[[bytes], Iterable[bytes]]
    parse_line: Callable[[bytes, Dialects], ParsedLine]


def explain(datagram: bytes, parser: Parser, resolver: Resolver) -> Iterator[str]:
    """Yield the lines of text about a datagram."""
    for line in parser.split_lines(datagram):
        yield line.decode(errors="replace")
        parsed = parser.parse_line(line, resolver.dialects)
        yield from (f"  rejected  {reason}" for reason in parsed.rejected)
        for sample in parsed.samples:
            yield from explain_sample(sample, resolver)


def explain_sample(sample: Sample, resolver: Resolver) -> Iterator[str]:
    """Yield what becomes of one value."""
    signature = sample.signature
    resolution = resolve(sample, resolver)
    yield f"  sent      {format_signature(signature)} = {format_sent_value(sample)}"
    if resolution.rule:
        yield f"  matches   {resolution.rule}"
    if resolution.note:
        yield f"  note      {resolution.note}"
    if resolution.ambiguous:
        yield "  note      the name can be split into ids in several ways; this is the most likely one"
    if resolution.drop:
        yield f"  dropped   {resolution.drop}: {DROPS[resolution.drop]}"
    for target in resolution.targets:
        rejection = get_reject_reason(sample, target)
        if rejection:
            yield f"  rejected  {rejection}: {target.family.name} cannot count this value"
        else:
            yield f"  becomes   {format_target(target, sample)}"


def resolve(sample: Sample, resolver: Resolver) -> Resolution:
    """What becomes of a value. The name of a new family is reserved only if the value counts, as in the server."""
    resolution = resolver.look_up(sample.signature)
    if resolution.claim and not all(get_reject_reason(sample, target) for target in resolution.targets):
        resolution.claim()
    return resolution


def get_reject_reason(sample: Sample, target: Target) -> str:
    """Why a series rejects a value; empty if it accepts it."""
    return check_value(target, sample.value, 1.0 / sample.signature.rate)


def format_signature(signature: Signature) -> str:
    """Name, type, rate and tags."""
    tags = ", ".join(f"{name}={value}" for name, value in signature.tags) or "no tags"
    rate = "" if signature.rate == 1.0 else f", sampled at {signature.rate:g}"
    return f"{signature.name} ({signature.type.name.lower()}, {tags}{rate})"


def format_sent_value(sample: Sample) -> str:
    """The value as it was sent, with the unit of its type."""
    sign = "+" if sample.relative and sample.value >= 0 else ""
    return f"{sign}{sample.value:g}{UNITS.get(sample.signature.type, '')}"


def format_target(target: Target, sample: Sample) -> str:
    """A series, and what the value does to it."""
    family = target.family
    labels = ", ".join(f'{name}="{value}"' for name, value in zip(family.labels, target.labels, strict=True))
    value = sample.value * target.scale + target.plus
    unit = next((f" {unit}" for unit in ("seconds", "bytes") if f"_{unit}" in family.name), "")
    verb = "changes by" if sample.relative and target.action is Action.SET else VERBS[target.action]
    times = ""
    if sample.signature.rate != 1.0 and target.action is not Action.SET:
        times = f", counted {1 / sample.signature.rate:g} times"
    return f"{family.name}{{{labels}}} ({family.kind}) {verb} {value:g}{unit}{times}"


class Summary:
    """What became of many lines, in groups."""

    def __init__(self, parser: Parser, resolver: Resolver) -> None:
        self._parser = parser
        self._resolver = resolver
        self._counts: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], list[str]] = {}

    def take(self, datagram: bytes) -> None:
        """Count the lines of a datagram."""
        for line in self._parser.split_lines(datagram):
            parsed = self._parser.parse_line(line, self._resolver.dialects)
            for reason in parsed.rejected:
                self._count(("rejected", reason), line)
            for sample in parsed.samples:
                resolution = resolve(sample, self._resolver)
                rejections = [get_reject_reason(sample, target) for target in resolution.targets]
                if rejections and all(rejections):
                    self._count(("rejected", rejections[0]), line)
                    continue
                for group in list_groups(resolution):
                    self._count(group, line)

    def lines(self) -> Iterator[str]:
        """Yield the groups: fed, then dropped, then rejected, each by frequency."""
        order = {"fed": 0, "dropped": 1, "rejected": 2}
        for group in sorted(self._counts, key=lambda group: (order[group[0]], -self._counts[group], group[1])):
            kind, what = group
            yield f"{self._counts[group]:>9}  {kind:<8}  {what}"
            if kind != "fed":
                yield from (f"{'':>21}{example}" for example in self._examples[group])

    def _count(self, group: tuple[str, str], line: bytes) -> None:
        self._counts[group] += 1
        examples = self._examples.setdefault(group, [])
        text = line.decode(errors="replace")
        name = text.partition(":")[0]
        if len(examples) < EXAMPLES and not any(one.startswith(f"{name}:") for one in examples):
            examples.append(text)


def list_groups(resolution: Resolution) -> Iterator[tuple[str, str]]:
    """The families that are fed, or the reason why none is."""
    if resolution.drop:
        yield "dropped", resolution.drop
    yield from (("fed", name) for name in dict.fromkeys(target.family.name for target in resolution.targets))


def read_capture(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the datagrams of a capture: JSON objects with a `payload`, or the lines themselves."""
    for line in lines:
        text = line.rstrip(b"\r\n")
        if text.startswith(b"{"):
            try:
                yield str(json.loads(text)["payload"]).encode()
                continue
            except (ValueError, KeyError, TypeError):
                pass
        if text:
            yield text
