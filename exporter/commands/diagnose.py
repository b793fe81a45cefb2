"""`airflow-exporter diagnose`: what waits now and why, from Airflow's API alone; no state file, no Prometheus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from exporter.config.settings import Settings
from exporter.diagnosis.findings import Finding
from exporter.diagnosis.reasons import Patience
from exporter.diagnosis.report import Diagnosis, to_json
from exporter.engine import Engine

STOP_SECONDS = 5.0
"""How long the engine may take to stop."""


def diagnose(settings: Settings) -> tuple[Diagnosis | None, list[str]]:
    """Read Airflow once; the diagnosis, and what could not be read. The state file and StatsD are not used."""
    engine = Engine(replace(settings, state_file=None, collectors={"airflow": True, "statsd": False, "host": False}))
    engine.read_once()
    problems = [
        f"{reader.name}: {reader.outcome}: {reader.message}"
        for source in engine.status()
        for reader in source.readers
        if reader.outcome not in ("ok", "")
    ]
    found = engine.directory.diagnosis
    engine.stop(STOP_SECONDS)
    return found, problems


def needs_attention(finding: Finding) -> bool:
    """Whether a finding is more than normal work."""
    return finding.reason.patience is not Patience.NORMAL


def to_text(diagnosis: Diagnosis) -> Iterator[str]:
    """The diagnosis as lines for a terminal."""
    if not diagnosis.findings:
        yield "Nothing waits."
    for finding in diagnosis.findings:
        yield f"{finding.reason.name}: {finding.title}"
        yield f"  {finding.reason.meaning}"
        for line in finding.list_evidence(diagnosis.time):
            yield f"  {line}"
        if finding.suggestion:
            yield f"  -> {finding.suggestion}"


def to_json_text(diagnosis: Diagnosis) -> str:
    """The diagnosis as JSON, as the page /diagnosis gives it."""
    return json.dumps(to_json(diagnosis), indent=2)
