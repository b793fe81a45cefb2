"""Faults in real Airflows: is each named, with its cause, its object and the knob, on the page and by its alert?

Before, while an Airflow is healthy, nothing may be named.

    AIRFLOW_VERSIONS="3.3.2 2.11.2" python -m pytest tests/e2e/diagnosis/test_faults.py -m e2e -s

HEALTHY=60m lets it be healthy for an hour. E2E_FAULTS=today takes a third of the faults, another one each day,
E2E_FAULTS=parallelism one Airflow by its name, and E2E_FAULT_NAMES='fails|pool' some faults by theirs. Leaves its
tables in .e2e/ (or $E2E_FOLDER). Needs PostgreSQL's server programs, redis-server, Prometheus and Alertmanager.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import pytest

from tests.e2e.alerts.overrides import parse_duration
from tests.e2e.alerts.stage import exporter_flags, open_stage, programs_missing
from tests.e2e.alerts.telling import FOLDER, say
from tests.e2e.diagnosis.faults.fault import Fault, contains
from tests.e2e.diagnosis.faults.limits import LIMITS, PARALLELISM
from tests.e2e.diagnosis.faults.play import Play
from tests.e2e.diagnosis.faults.report import Result, is_reached, is_tolerable, write_score, write_table
from tests.e2e.diagnosis.faults.stages import SCENES, Scene, list_faults, list_scenes, make_plan

VERSIONS = os.environ.get("AIRFLOW_VERSIONS", "3.3.2 2.11.2").split()
WANTED = os.environ.get("E2E_FAULTS", "")
ONLY = os.environ.get("E2E_FAULT_NAMES", "")
"""A regular expression of names, where only some faults are wanted."""
SECONDS = float(os.environ.get("E2E_FAULT_SECONDS", "0")) or None
"""How long each fault may take, where it is not what the fault says."""
QUIET_SECONDS = parse_duration(os.environ.get("HEALTHY", "2m"))
HEALTHY_DAGS = ("sells", "counts", "goes_on")
TODAY = datetime.now(UTC).date() if WANTED == "today" else None
CASES = [
    (version, scene)
    for version, scene in list_scenes(VERSIONS, TODAY)
    if scene.name == WANTED or WANTED not in {one.name for one in SCENES}
]


@pytest.mark.e2e
@pytest.mark.parametrize(("version", "scene"), CASES, ids=[f"{version}-{scene.name}" for version, scene in CASES])
def test_each_fault_is_named(version: str, scene: Scene) -> None:
    assert programs_missing() == []
    plan = make_plan(version, scene)
    name = f"faults-{scene.name}-{version}"
    folder = (FOLDER / name).resolve()
    with open_stage(plan, folder, say) as stage:
        play = Play(stage, exporter_flags(plan, stage.airflow, folder, stage.statsd_port), say)
        if scene.is_quiet_first:
            check_quiet(play, version)
        first, *further = choose(list_faults(scene, version))
        if further:
            play.begin_aside(scene.aside)
        seen = play.act(first, SECONDS)
        code, said = play.diagnose()
        unsaid = [one.fault.name for one in seen if one.named_at and not is_said(one.fault, said)]
        for act in further:
            write_report(name, write_table([Result(version, one) for one in seen]))
            seen += play.act(act, SECONDS)
        play.order("over")
    results = [Result(version, one) for one in seen]
    write_report(name, [*write_table(results), "", write_score(results), f"not named by diagnose: {unsaid}", said])
    assert code == 1, said
    assert is_tolerable(len(unsaid), len(seen)), f"the command does not name {unsaid}: {said}"
    assert is_reached(results)


def choose(acts: Iterable[Sequence[Fault]]) -> list[list[Fault]]:
    """The acts, with the faults that are wanted alone."""
    chosen = [[fault for fault in act if re.search(ONLY, fault.name)] for act in acts]
    return [act for act in chosen if act]


def is_said(fault: Fault, said: str) -> bool:
    """Whether the command names a fault of limits. One look does not see what only time shows."""
    return fault not in (*LIMITS, *PARALLELISM) or all(contains(said, name) for name in fault.names)


def check_quiet(play: Play, version: str) -> None:
    """While an Airflow is healthy nothing beyond normal work is named, no alert fires, `diagnose` ends with 0."""
    for dag_id in HEALTHY_DAGS:
        play.pause(dag_id, False)
    named, fired = play.watch(QUIET_SECONDS)
    code, said = play.diagnose()
    tries = play.database.value("select count(*) from task_instance where state = 'success'")
    line = f"healthy for {QUIET_SECONDS:.0f} s, {tries} tries; named: {named}; fired: {fired}; exit code {code}"
    write_report(f"faults-healthy-{version}", [line, said])
    assert tries > QUIET_SECONDS / 30, "Airflow was not busy"
    assert (named, fired, code) == (set(), set(), 0), said
    for dag_id in HEALTHY_DAGS:
        play.pause(dag_id)


def write_report(name: str, lines: Iterable[str]) -> None:
    """Print it, and keep it in a file."""
    text = "\n".join(lines)
    (FOLDER / f"{name}.md").write_text(f"{text}\n", encoding="utf-8")
    say(f"{name}\n{text}")
