"""What the shipped rules cost Prometheus: python -m benchmarks.rules [--dags 2000]

Synthetic data of an Airflow of that size is written to a new Prometheus, as for the dashboards, and the rules of each
group are evaluated several times. Rules that look back for days find hours of data: they are few, and seldom evaluated.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

from benchmarks.dashboards import Prober, Question, run

FILES = Path(__file__).resolve().parents[1] / "prometheus"
OF_OTHERS = {"kubernetes"}
"""Files with rules on other exporters' series, which this benchmark does not write."""
UNITS = {"s": 1, "m": 60, "h": 3600}
ROUNDS = 5


class Group(NamedTuple):
    """A group of rules, which Prometheus evaluates one after the other at this interval in seconds."""

    name: str
    interval: int
    expressions: tuple[str, ...]


def groups() -> Iterator[Group]:
    """Yield every group of the rule and alert files."""
    default = yaml.safe_load((FILES / "prometheus.yml").read_text(encoding="utf-8"))["global"]["evaluation_interval"]
    for file in sorted((*FILES.glob("rules/*.yml"), *FILES.glob("alerts/*.yml"))):
        if file.stem in OF_OTHERS:
            continue
        for group in yaml.safe_load(file.read_text(encoding="utf-8")).get("groups", ()):
            interval = group.get("interval", default)
            seconds = int(interval[:-1]) * UNITS[interval[-1]]
            yield Group(f"{file.stem}: {group['name']}", seconds, tuple(rule["expr"] for rule in group["rules"]))


def measure(prober: Prober) -> int:
    """Print the cost of each group, the most expensive first. Returns the exit code."""
    costs = sorted(((cost(prober, group), group) for group in groups()), key=lambda one: -one[0] / one[1].interval)
    print("| group | rules | interval, s | CPU, ms | of one CPU |\n| --- | ---: | ---: | ---: | ---: |")
    for seconds, group in costs:
        share = seconds / group.interval
        print(f"| {group.name} | {len(group.expressions)} | {group.interval} | {seconds * 1000:.0f} | {share:.2%} |")
    print(f"\nall groups: {sum(seconds / group.interval for seconds, group in costs):.1%} of one CPU")
    return 0


def cost(prober: Prober, group: Group) -> float:
    """CPU seconds of one evaluation of a group."""
    questions = [Question(group.name, expression, 0, 0, instant=True) for expression in group.expressions]
    began = prober.used()
    for _ in range(ROUNDS):
        for question in questions:
            prober.ask(question)
    return (prober.used() - began) / ROUNDS


if __name__ == "__main__":
    expressions = (expression for group in groups() for expression in group.expressions)
    sys.exit(run("benchmarks.rules", __doc__, expressions, measure))
