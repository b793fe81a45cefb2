"""Where the labels of a mapping stand among what its glob captured, so that a new name needs no templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from exporter.sources.statsd.label_getter import build_label_getter
from exporter.sources.statsd.mapping.template import read_glob_template
from exporter.sources.statsd.model import Resolution, Target


class RuleLayout:
    """What becomes of every name without tags that one mapping matches; its family exists."""

    __slots__ = ("_constants", "_get_labels", "_resolution", "_target", "count")

    def __init__(self, resolution: Resolution, templates: Sequence[str], count: int) -> None:
        self.count = count
        """How many segments the glob captures."""
        self._resolution = resolution
        self._target = resolution.targets[0]
        self._constants: list[str] = []
        self._get_labels = build_label_getter([self._place(template) for template in templates])

    def resolve(self, captures: list[str]) -> Resolution:
        """The resolution for these captured segments."""
        family, _, action, scale, plus = self._target
        target = Target(family, self._get_labels(captures + self._constants), action, scale, plus)
        return Resolution(self._resolution.rule, (target,), plan=self._resolution.plan)

    def _place(self, template: str) -> int:
        number = read_glob_template(template)[1]
        if 0 < number <= self.count:
            return number - 1
        self._constants.append("" if number else template)
        return self.count + len(self._constants) - 1


def build_rule_layout(resolution: Resolution, labels: Mapping[str, str], count: int) -> RuleLayout | None:
    """The layout of a mapping with these label templates; None if a label is made of several parts.

    `count` is how many segments its glob captures.
    """
    if len(resolution.targets) != 1 or resolution.claim is not None:
        return None
    templates = [labels[name] for name in sorted(labels)]
    simple = all("$" not in template or read_glob_template(template)[1] for template in templates)
    return RuleLayout(resolution, templates, count) if simple else None
