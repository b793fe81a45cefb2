"""The tables of alerts and thresholds in docs/alerts.md, generated from prometheus/."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

PROMETHEUS = Path(__file__).parents[1] / "prometheus"
ORDER = ("components", "dags", "waiting", "failures", "hosts", "celery", "database", "kubernetes", "exporter")
SETTING = re.compile(r"((?: +#.*\n)+) +- record: airflow:threshold:(\w+)\n +expr: vector\(([^)]+)\)")
SCALES = {"seconds": ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")), "bytes": ((2**30, "GiB"), (2**20, "MiB"))}


def write_alerts() -> str:
    """A table row for each alert, with a link to its runbook."""
    lines = ["| alert | severity | component | after | what it says |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| [{alert['alert']}](runbooks/{alert['alert']}.md) | {alert['labels']['severity']} "
        f"| {alert['labels']['component']} | {alert.get('for', 'at once')} | {alert['annotations']['summary']} |"
        for alert in list_alerts()
    ]
    return "\n".join(lines)


def list_alerts() -> Iterator[dict[str, Any]]:
    """Yield every alert, in the order of ORDER."""
    for name in ORDER:
        for group in yaml.safe_load((PROMETHEUS / "alerts" / f"{name}.yml").read_text(encoding="utf-8"))["groups"]:
            yield from group["rules"]


def write_thresholds() -> str:
    """A table row for each threshold of prometheus/rules/settings.yml, with its comment as the reason."""
    text = (PROMETHEUS / "rules" / "settings.yml").read_text(encoding="utf-8")
    users = map_users()
    lines = ["| threshold | value | used by | why |", "| --- | --- | --- | --- |"]
    lines += [
        f"| `{name}` | {format_value(name, float(value))} | {', '.join(users.get(name, ()))} "
        f"| {join_comment(comment)} |"
        for comment, name, value in SETTING.findall(text)
    ]
    return "\n".join(lines)


def map_users() -> dict[str, list[str]]:
    """The names of the alerts that use each threshold, directly or through a recording rule."""
    found: dict[str, list[str]] = {}
    recorded = {
        rule["record"]: rule["expr"]
        for path in sorted((PROMETHEUS / "rules").glob("*.yml"))
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    }
    for alert in list_alerts():
        text = alert["expr"] + " ".join(recorded[name] for name in re.findall(r"airflow\w*:\w+:\w+", alert["expr"]))
        for name in dict.fromkeys(re.findall(r"airflow:threshold:(\w+)", text)):
            found.setdefault(name, []).append(alert["alert"])
    return found


def format_value(name: str, value: float) -> str:
    """The value with its unit, as in `10 min`, `15%` or `1 MiB/s`; the name has the unit."""
    if name.endswith("_ratio") and value < 1:
        return f"{value:.3g}" if value < 0.01 else f"{value:.0%}"
    for unit, scales in SCALES.items():
        if unit in name:
            size, sign = next((scale for scale in scales if value >= scale[0] and value % scale[0] == 0), (1, "s"))
            return f"{value / size:g} {sign}" + ("/s" if "per_second" in name else "")
    return f"{value:g}"


def join_comment(comment: str) -> str:
    """The lines of a comment as one line, without section headings."""
    lines = [line.strip().removeprefix("#").strip() for line in comment.splitlines()]
    return " ".join(line for line in lines if not line.startswith("---")).replace("<", "&lt;")
