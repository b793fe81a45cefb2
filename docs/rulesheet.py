"""What docs/alerts.md says of alerts and thresholds, from prometheus/."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

PROMETHEUS = Path(__file__).parents[1] / "prometheus"
ORDER = ("components", "dags", "waiting", "hosts", "exporter")
SETTING = re.compile(r"((?: +#.*\n)+) +- record: airflow:threshold:(\w+)\n +expr: vector\(([^)]+)\)")
SCALES = {"seconds": ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")), "bytes": ((2**30, "GiB"), (2**20, "MiB"))}


def write_alerts() -> str:
    lines = ["| alert | severity | component | after | what it says |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| [{alert['alert']}](runbooks/{alert['alert']}.md) | {alert['labels']['severity']} "
        f"| {alert['labels']['component']} | {alert.get('for', 'at once')} | {alert['annotations']['summary']} |"
        for alert in list_alerts()
    ]
    return "\n".join(lines)


def list_alerts() -> Iterator[dict[str, Any]]:
    """Every alert, in the order in which one looks for it."""
    for name in ORDER:
        for group in yaml.safe_load((PROMETHEUS / "alerts" / f"{name}.yml").read_text(encoding="utf-8"))["groups"]:
            yield from group["rules"]


def write_thresholds() -> str:
    text = (PROMETHEUS / "rules" / "settings.yml").read_text(encoding="utf-8")
    users = find_users()
    lines = ["| threshold | value | used by | why |", "| --- | --- | --- | --- |"]
    lines += [
        f"| `{name}` | {show(name, float(value))} | {', '.join(users.get(name, ()))} | {join(comment)} |"
        for comment, name, value in SETTING.findall(text)
    ]
    return "\n".join(lines)


def find_users() -> dict[str, list[str]]:
    """The alerts that use each threshold, by its name; those behind a recording rule are found through it."""
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


def show(name: str, value: float) -> str:
    """The value as people write it."""
    if name.endswith("_ratio") and value < 1:
        return f"{value:.3g}" if value < 0.01 else f"{value:.0%}"
    for unit, scales in SCALES.items():
        if unit in name:
            size, sign = next((scale for scale in scales if value >= scale[0] and value % scale[0] == 0), (1, "s"))
            return f"{value / size:g} {sign}" + ("/s" if "per_second" in name else "")
    return f"{value:g}"


def join(comment: str) -> str:
    """The lines of a comment as one, without headings of sections."""
    lines = [line.strip().removeprefix("#").strip() for line in comment.splitlines()]
    return " ".join(line for line in lines if not line.startswith("---")).replace("<", "&lt;")
