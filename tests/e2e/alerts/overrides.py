"""The shipped rules, read faster: computed from the shipped files, so that what is proved is what is shipped.

Divided by one factor are the time that an alert must hold (`for`, `keep_firing_for`) and what expressions look back on
(`[30m]`, `offset 2h`). Groups are evaluated every SECONDS, and settings that are waits become those of WAITS. All else,
every other threshold among it, stays.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

SHIPPED = Path(__file__).resolve().parents[3] / "prometheus"
SECONDS = 2
"""Between two scrapes and between two evaluations."""
NARROWEST = 20.0
"""Seconds of the smallest window: ten scrapes, two readings of the API."""
WAITS = {
    "airflow:threshold:database_idle_transaction_seconds": 20.0,
    "airflow:threshold:database_lock_seconds": 15.0,
    "airflow:threshold:heartbeat_age_seconds": 40.0,
    "airflow:threshold:queued_wait_seconds": 15.0,
    "airflow:threshold:run_stuck_min_seconds": 60.0,
    "airflow:threshold:scheduled_wait_seconds": 20.0,
}
"""Settings that are waits, and the seconds that they are here: more than heartbeats, readings and scrapes take."""
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
DURATION = re.compile(r"(\d+)(ms|[smhdwy])")
OFFSET = re.compile(r"\boffset ((?:\d+(?:ms|[smhdwy]))+)")
WINDOW = re.compile(r"\[((?:\d+(?:ms|[smhdwy]))+)(:(?:(?:\d+(?:ms|[smhdwy]))+)?)?\]")
SETTING = re.compile(r"vector\((\d+(?:\.\d+)?)\)")
Rules = dict[str, Any]


def parse_duration(text: str) -> float:
    """Seconds of a duration such as 1h30m."""
    return sum(int(number) * UNITS[unit] for number, unit in DURATION.findall(text))


def format_duration(seconds: float) -> str:
    """The duration of so many seconds, whole ones."""
    return f"{math.ceil(seconds)}s"


def hasten_expression(expression: str, factor: float) -> str:
    """The expression with narrower windows, nearer to now."""

    def narrow(found: re.Match[str]) -> str:
        window = max(NARROWEST, parse_duration(found[1]) / factor)
        step = f":{SECONDS}s" if found[2] else ""
        return f"[{format_duration(window)}{step}]"

    nearer = OFFSET.sub(lambda found: f"offset {format_duration(parse_duration(found[1]) / factor)}", expression)
    return WINDOW.sub(narrow, nearer)


def hasten_rule(rule: Rules, factor: float) -> Rules:
    """One recording or alerting rule, hastened."""
    changed = {**rule, "expr": hasten_expression(str(rule["expr"]), factor)}
    for name in {"for", "keep_firing_for"} & set(rule):
        changed[name] = format_duration(parse_duration(rule[name]) / factor)
    wait = WAITS.get(rule.get("record", ""))
    if wait:
        changed["expr"] = SETTING.sub(f"vector({wait:g})", changed["expr"])
    return changed


def hasten(document: Rules, factor: float) -> Rules:
    """All groups of a file of rules."""
    return {
        "groups": [
            {**group, "interval": f"{SECONDS}s", "rules": [hasten_rule(rule, factor) for rule in group["rules"]]}
            for group in document["groups"]
        ]
    }


def shipped_rules() -> Iterator[tuple[str, Rules]]:
    """Every shipped file of rules and alerts, by its path below `prometheus/`."""
    for folder in ("rules", "alerts"):
        for path in sorted((SHIPPED / folder).glob("*.yml")):
            yield f"{folder}/{path.name}", yaml.safe_load(path.read_text(encoding="utf-8"))


def shipped_alerts() -> dict[str, Rules]:
    """Every shipped alerting rule by its name."""
    return {
        rule["alert"]: rule
        for _, document in shipped_rules()
        for group in document["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }


def write_rules(folder: Path, change: Callable[[Rules], Rules]) -> None:
    """Write the shipped rules, changed, where the configuration beside them looks for them."""
    for name, document in shipped_rules():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(change(document), sort_keys=False, width=1000), encoding="utf-8")


def prometheus_config(targets: Mapping[str, str], alertmanager: str, seconds: int | None) -> Rules:
    """The shipped configuration with our addresses: `targets` are exporters, each with the Airflow that it tells of.

    With `seconds` scrapes and evaluations are that far apart.
    """
    config: Rules = yaml.safe_load((SHIPPED / "prometheus.yml").read_text(encoding="utf-8"))
    job = next(job for job in config["scrape_configs"] if job["job_name"] == "airflow")
    job["static_configs"] = [
        {"targets": [address], "labels": {"airflow": airflow}} for address, airflow in targets.items()
    ]
    if seconds:
        config["global"].update(scrape_interval=f"{seconds}s", evaluation_interval=f"{seconds}s")
        job["scrape_timeout"] = f"{seconds}s"
    config["scrape_configs"] = [job]
    config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
    return config
