"""Finds what a mapping file makes of a family's name, so that saved series continue only as what the file says now."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from exporter.metrics.family import Kind
from exporter.metrics.family_spec import FamilySpec
from exporter.sources.statsd.mapping.file import MappingFile, MappingRule, ObserverOptions
from exporter.sources.statsd.mapping.template import GLOB_REFERENCE, REGEX_REFERENCE

METRIC_TYPES = {Kind.COUNTER: ("", "counter"), Kind.GAUGE: ("", "gauge")}
"""The `match_metric_type` of rules that make a kind; all other kinds are made of observers."""
OBSERVERS = ("", "observer", "timer")


class Origin(NamedTuple):
    """What a family is made with."""

    options: ObserverOptions
    ttl: float
    help: str


class OriginFinder:
    """Finds the origins of families in a mapping file."""

    def __init__(self, file: MappingFile, *, exposes_unmapped: bool) -> None:
        """`exposes_unmapped`: whether names without a mapping become metrics too."""
        self._unmapped = [Origin(file.defaults.options, file.defaults.ttl, "")] if exposes_unmapped else []
        self._literal: dict[str, list[MappingRule]] = {}
        self._templates: list[tuple[re.Pattern[str], MappingRule]] = []
        for rule in file.rules:
            if rule.drop:
                continue
            if "$" in rule.name:
                self._templates.append((compile_name(rule), rule))
            else:
                self._literal.setdefault(rule.name, []).append(rule)

    def find(self, spec: FamilySpec) -> Origin | None:
        """What a saved family is made with now; None if the file makes no family of this kind and shape any more.

        If several mappings make it, the one that made it before is preferred.
        """
        types = METRIC_TYPES.get(spec.kind, OBSERVERS)
        rules = [rule for rule in self._list_rules(spec.name) if rule.metric_type in types]
        labelled = [rule for rule in rules if rule.labels.keys() <= set(spec.labels)]
        origins = [Origin(rule.options, rule.ttl, rule.help) for rule in labelled] if rules else self._unmapped
        fitting = [one for one in origins if has_shape(one.options, spec)]
        same = [one for one in fitting if (one.ttl, one.help) == (spec.ttl, spec.help)]
        return next(iter(same or fitting), None)

    def _list_rules(self, name: str) -> Iterator[MappingRule]:
        yield from self._literal.get(name, ())
        yield from (rule for pattern, rule in self._templates if pattern.fullmatch(name))


def compile_name(rule: MappingRule) -> re.Pattern[str]:
    """A pattern of the names that a mapping whose name has references can make."""
    references = (REGEX_REFERENCE if rule.regex else GLOB_REFERENCE).finditer(rule.name)
    pieces, end = [], 0
    for reference in references:
        pieces.append(re.escape(rule.name[end : reference.start()]))
        end = reference.end()
    # A leading digit gets an underscore before it.
    return re.compile("_?" + ".*".join([*pieces, re.escape(rule.name[end:])]))


def has_shape(options: ObserverOptions, spec: FamilySpec) -> bool:
    """Whether the cells of a saved family mean the same under these options."""
    if spec.kind not in (Kind.SUMMARY, Kind.HISTOGRAM):
        return True
    return spec.kind is options.kind and (spec.kind is Kind.SUMMARY or spec.buckets == tuple(options.buckets))
