"""Resolves signatures by a mapping file, as statsd_exporter does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from exporter.metrics.family import Family, Kind
from exporter.metrics.family_spec import FamilySpec
from exporter.sources.statsd.mapping.escape import escape
from exporter.sources.statsd.mapping.families import MappedFamilies
from exporter.sources.statsd.mapping.file import MappingError, MappingFile, MappingRule, ObserverOptions, parse_file
from exporter.sources.statsd.mapping.glob import GlobMatch, GlobMatcher, needs_backtracking
from exporter.sources.statsd.mapping.origin import OriginFinder
from exporter.sources.statsd.mapping.regex import MAX_NAME_LENGTH
from exporter.sources.statsd.mapping.rule_layout import RuleLayout, build_rule_layout
from exporter.sources.statsd.mapping.template import (
    Fill,
    fill_glob,
    fill_regex,
    list_empty_glob_references,
    list_empty_regex_references,
)
from exporter.sources.statsd.model import (
    STATSD_EXPORTER_DIALECTS,
    Action,
    KeyParts,
    MetricType,
    Resolution,
    Signature,
    Target,
)

METRIC_TYPES = {MetricType.COUNTER: "counter", MetricType.GAUGE: "gauge"}
OBSERVER = "observer"
ACTIONS = {Kind.COUNTER: Action.ADD, Kind.GAUGE: Action.SET}
FILE_BYTES = 4 << 20
"""Larger files are rejected."""


class MappingMatch(NamedTuple):
    """The mapping of a name, with its templates filled from what its pattern captured."""

    rule: MappingRule
    name: str
    labels: dict[str, str]


class Mapper:
    """A Resolver by a mapping file. After a reload a new Mapper takes over the families of the old one."""

    revision = 0
    dialects = STATSD_EXPORTER_DIALECTS
    """The tag formats that are parsed for it."""

    def __init__(self, file: MappingFile, families: MappedFamilies, *, exposes_unmapped: bool = True) -> None:
        """`exposes_unmapped`: whether names without a mapping become metrics too."""
        self.file = file
        self._exposes_unmapped = exposes_unmapped
        self.families = families
        globs = [rule for rule in file.rules if rule.regex is None]
        self._backtracking = not file.defaults.ordered and needs_backtracking([rule.match for rule in globs])
        self._regexes = tuple(rule for rule in file.rules if rule.regex is not None)
        self._globs = {kind: self._index(globs, kind) for kind in (*METRIC_TYPES.values(), OBSERVER)}
        self._layouts: dict[tuple[int, MetricType], RuleLayout] = {}
        self._origins: OriginFinder | None = None

    def resolve(self, signature: Signature) -> Resolution:
        """What becomes of all lines of that signature; reserves the name of a new family."""
        found = self.look_up(signature)
        if found.claim:
            found.claim()
        return found

    def find_similar(self, _key: KeyParts) -> None:
        """None: the names of families may contain what was captured."""

    def look_up(self, signature: Signature) -> Resolution:
        """What becomes of all lines of that signature. Never raises, and reserves no family name."""
        metric_type = METRIC_TYPES.get(signature.type, OBSERVER)
        found = self._globs[metric_type].find(signature.name)
        if found is None or signature.tags:
            return self._resolve_match(signature, self._match(found, signature.name, metric_type))
        position, captures = found
        layout = self._layouts.get((position, signature.type))
        if layout is not None and layout.count == len(captures):
            return layout.resolve(captures)
        resolution = self._resolve_match(signature, self._match(found, signature.name, metric_type))
        rule = self.file.rules[position]
        layout = None if "$" in rule.name else build_rule_layout(resolution, rule.labels, len(captures))
        if layout is not None:
            self._layouts[position, signature.type] = layout
        return resolution

    def _resolve_match(self, signature: Signature, match: MappingMatch | None) -> Resolution:
        if match is None:
            return self._resolve_unmapped(signature)
        rule = match.rule
        if rule.drop:
            return Resolution(rule.title, drop="mapped_drop")
        labels = merge_labels(signature, match)
        return self._resolve_named(rule.title, signature.type, escape(match.name), labels, rule)

    def take_corrections(self) -> None:
        """None: a mapping file decides how ids are read."""

    def restore_family(self, spec: FamilySpec) -> Family | None:
        """The family that an earlier process created; None if the file makes another one now, or if the name is taken.

        Otherwise a kind or buckets that the file no longer has would come back at each start.
        """
        self._origins = self._origins or OriginFinder(self.file, exposes_unmapped=self._exposes_unmapped)
        origin = self._origins.find(spec)
        if origin is None:
            return None
        family, claim = self.families.get(spec.name, spec.labels, spec.kind, *origin)
        if isinstance(family, str):
            return None
        if claim:
            claim()
        return family

    def release(self, families: list[Family]) -> None:
        """Free the names of families whose last series expired."""
        self.families.release(families)
        # They refer to families.
        self._layouts.clear()

    def match(self, name: str, metric_type: str) -> MappingMatch | None:
        """The mapping that matches a StatsD name: globs first, then regular expressions in their order."""
        return self._match(self._globs[metric_type].find(name), name, metric_type)

    def _match(self, found: GlobMatch | None, name: str, metric_type: str) -> MappingMatch | None:
        if found:
            return fill(self.file.rules[found[0]], fill_glob(found[1]))
        for rule in self._regexes if len(name) <= MAX_NAME_LENGTH else ():
            caught = rule.regex.search(name) if rule.regex and applies_to(rule, metric_type) else None
            if caught:
                return fill(rule, fill_regex(caught))
        return None

    def format_summary(self) -> str:
        """One line about the file, for `check`."""
        globs, regexes = len(self.file.rules) - len(self._regexes), len(self._regexes)
        order = "in their order" if self.file.defaults.ordered else "literal segments first"
        return f"mappings: {globs} with globs ({order}), {regexes} with regular expressions"

    def list_warnings(self) -> Iterator[str]:
        """Valid templates that are surely mistakes, as sentences."""
        for rule in self.file.rules:
            for where, template in (("name", rule.name), *rule.labels.items()):
                for name in list_empty_references(rule, template):
                    yield f"{rule.title}: {where}: ${name} is always empty: the match has no such group"

    def _index(self, rules: list[MappingRule], metric_type: str) -> GlobMatcher:
        patterns = [(rule.position, rule.match) for rule in rules if applies_to(rule, metric_type)]
        return GlobMatcher(patterns, ordered=self.file.defaults.ordered, backtracking=self._backtracking)

    def _resolve_unmapped(self, signature: Signature) -> Resolution:
        if not self._exposes_unmapped:
            return Resolution("", drop="unmapped")
        labels = merge_labels(signature, None)
        return self._resolve_named("", signature.type, escape(signature.name), labels, None)

    def _resolve_named(
        self, title: str, sent: MetricType, name: str, labels: dict[str, str], rule: MappingRule | None
    ) -> Resolution:
        """The resolution for the final name and labels of the metric."""
        if not name:
            return Resolution(title, drop="no_name")
        defaults = self.file.defaults
        kind = get_kind(sent, rule.options if rule else defaults.options)
        names = tuple(sorted(labels))
        family, claim = self.families.get(
            name,
            names,
            kind,
            rule.options if rule else defaults.options,
            rule.ttl if rule else defaults.ttl,
            rule.help if rule else "",
        )
        if isinstance(family, str):
            return Resolution(title, drop=family)
        scale = (rule.scale if rule else 1.0) * (0.001 if sent is MetricType.TIMER else 1.0)
        values = tuple([labels[label] for label in names])
        target = Target(family, values, ACTIONS.get(kind, Action.OBSERVE), scale)
        return Resolution(title, (target,), plan=(family, scale), claim=claim)


def load_mapping(path: Path, families: MappedFamilies | None = None, *, exposes_unmapped: bool = True) -> Mapper:
    """Read a mapping file; it goes on with these families. Raises MappingError, also if it cannot be read."""
    try:
        content = path.read_bytes()
        if len(content) > FILE_BYTES:
            raise MappingError([f"{path}: is larger than {FILE_BYTES} bytes"])
        return Mapper(parse_file(content.decode()), families or MappedFamilies(), exposes_unmapped=exposes_unmapped)
    except OSError as error:
        raise MappingError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise MappingError([f"{path}: is not UTF-8"]) from error


def parse_mapping(text: str, before: Mapper | None = None) -> Mapper:
    """A Mapper for the text of a mapping file. Raises MappingError."""
    return Mapper(parse_file(text), before.families if before else MappedFamilies())


def list_empty_references(rule: MappingRule, template: str) -> list[str]:
    """References in a template to groups or stars that the rule does not have."""
    return (
        list_empty_regex_references(template, rule.regex)
        if rule.regex
        else list_empty_glob_references(template, rule.match.count("*"))
    )


def applies_to(rule: MappingRule, metric_type: str) -> bool:
    """Whether a rule is for that metric type; the deprecated type `timer` means observers."""
    return rule.metric_type in ("", metric_type) or (rule.metric_type == "timer" and metric_type == OBSERVER)


def fill(rule: MappingRule, filled: Fill) -> MappingMatch:
    """A mapping with its templates filled."""
    name = filled(rule.name) if "$" in rule.name else rule.name
    return MappingMatch(
        rule, name, {label: filled(value) if "$" in value else value for label, value in rule.labels.items()}
    )


def get_kind(kind: MetricType, options: ObserverOptions) -> Kind:
    """The kind of the family that a StatsD type feeds."""
    if kind is MetricType.COUNTER:
        return Kind.COUNTER
    return Kind.GAUGE if kind is MetricType.GAUGE else options.kind


def merge_labels(signature: Signature, match: MappingMatch | None) -> dict[str, str]:
    """Tags and the mapping's labels, which win unless it has `honor_labels`. Tags without a value are skipped."""
    labels = {escape(name): value for name, value in signature.tags if name and value}
    if match is None:
        return labels
    return {**match.labels, **labels} if match.rule.honor_labels else {**labels, **match.labels}
