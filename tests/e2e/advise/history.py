"""A real Prometheus with a history that was written into it: raw series, then the shipped rules, evaluated over it."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from exporter.tuning.queries import QUERIES
from tests.e2e.exactness.prometheus import Prometheus

RULES = Path(__file__).parents[3] / "prometheus" / "rules"
NOT_SERIES = re.compile(r'"[^"]*"|\b(?:by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)')
SERIES = re.compile(r"\bairflow[a-z0-9_:]*")
FLAGS = ("--storage.tsdb.retention.time=100y",)


def backfill(prometheus: str, promtool: str, folder: Path, samples: Path, begin: float, end: float) -> None:
    """Write samples, and all that the rules record of them."""
    data = folder / "data"
    run(promtool, "tsdb", "create-blocks-from", "--max-block-duration=1000h", "openmetrics", str(samples), str(data))
    rules = folder / "rules.yml"
    for level in list_levels():
        rules.write_text(yaml.safe_dump({"groups": level}), encoding="utf-8")
        with serve(prometheus, folder) as server:
            url = f"--url=http://127.0.0.1:{server.port}"
            times = (f"--start={begin:.0f}", f"--end={end:.0f}")
            run(
                promtool,
                "tsdb",
                "create-blocks-from",
                "rules",
                url,
                *times,
                f"--output-dir={data}",
                rules.name,
                folder=folder,
            )


@contextmanager
def serve(prometheus: str, folder: Path) -> Iterator[Prometheus]:
    """The server on this history."""
    server = Prometheus(prometheus, folder, "scrape_configs: []\n", *FLAGS)
    try:
        server.wait_ready(60)
        yield server
    finally:
        server.close()


def run(*command: str, folder: Path | None = None) -> None:
    """Run a program in a folder. Raises RuntimeError with what it printed if it fails.

    The name of a file of rules as it is given, and that of a group, decide when in its interval the group is evaluated:
    always the same name in the folder gives always the same series.
    """
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if found.returncode:
        raise RuntimeError(f"{command[:3]} failed: {found.stdout[-500:]}{found.stderr[-2000:]}")


def list_levels() -> list[list[dict[str, Any]]]:
    """The groups of rules that advice reads, in an order in which each level needs only those before it."""
    groups = read_groups()
    depths = measure_depths(groups, (query.expression for query in QUERIES))
    return [list(select(groups, depths, depth)) for depth in range(1, max(depths.values()) + 1)]


def find_needed(expressions: Iterable[str]) -> set[str]:
    """The raw series that these expressions need, and the rules below them."""
    return {name for name, depth in measure_depths(read_groups(), expressions).items() if not depth}


def read_groups() -> list[dict[str, Any]]:
    """All groups of the shipped rules."""
    return [group for path in sorted(RULES.glob("*.yml")) for group in yaml.safe_load(path.read_text())["groups"]]


def measure_depths(groups: Sequence[dict[str, Any]], expressions: Iterable[str]) -> dict[str, int]:
    """How many levels of rules lie between raw series and each name that these expressions need."""
    needs: defaultdict[str, set[str]] = defaultdict(set)
    for group in groups:
        for rule in group["rules"]:
            needs[rule["record"]] |= find_series(rule["expr"])
    depths: dict[str, int] = {}
    for expression in expressions:
        for name in find_series(expression):
            measure_depth(name, needs, depths)
    return depths


def find_series(expression: str) -> set[str]:
    """The names in an expression."""
    return set(SERIES.findall(NOT_SERIES.sub("", expression)))


def measure_depth(name: str, needs: Mapping[str, Iterable[str]], depths: dict[str, int]) -> int:
    """How many levels of rules lie between raw series and this one: 0 for a raw one."""
    if name not in depths:
        depths[name] = 0 if name not in needs else 1 + max(measure_depth(one, needs, depths) for one in needs[name])
    return depths[name]


def select(groups: Sequence[dict[str, Any]], depths: Mapping[str, int], depth: int) -> Iterator[dict[str, Any]]:
    """The groups with those of their rules that are of a level."""
    for group in groups:
        rules = [rule for rule in group["rules"] if depths.get(rule["record"]) == depth]
        if rules:
            yield {**group, "rules": rules}
