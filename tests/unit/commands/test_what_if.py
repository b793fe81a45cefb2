"""`advise --what-if`: reads the events file with those that were renamed, and prints waits, error and doubts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exporter.commands.what_if import to_json, to_text, what_if
from exporter.tuning.simulation.change import ChangeError
from exporter.tuning.simulation.observed import ObservedLimits, build_timeline
from exporter.tuning.simulation.settings import SimulatedSettings
from exporter.tuning.simulation.simulation import Simulation
from tests.unit.tuning.simulation.airflows import BEGIN, DAY, make_work, write_lines

LIMITS = ObservedLimits(parallelism={BEGIN: 16}, pools={"forklifts": {BEGIN: 3}})
SETTINGS = build_timeline(LIMITS)[-1][1]


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tries = make_work(1, hours=4)
    Simulation(SimulatedSettings(parallelism=16, pools={"forklifts": 3}, loop_seconds=1), tries).run()
    lines = write_lines(tries)
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    path.write_bytes(b"\n".join(lines[400:]))
    path.with_name("events.jsonl.1").write_bytes(b"\n".join(lines[200:400]))
    path.with_name("events.jsonl.2").write_bytes(b"\n".join(lines[:200]))
    path.with_name("events.jsonl.bak").write_bytes(b"not an event")
    return path


def test_the_waits_are_printed_with_the_error_of_the_simulation(events: Path) -> None:
    result, notes = what_if(LIMITS, events, BEGIN, BEGIN + DAY, ["pool:forklifts=6"])
    text = list(to_text(result, SETTINGS, notes))
    assert text[0] == "WHAT IF pool:forklifts=6 (now 3)"
    assert notes == []
    assert text[1] == f"  all tasks: {len(make_work(1, hours=4))} tries", "those of all three files"
    assert [line.split()[0] for line in text[3:6]] == ["observed", "simulated", "with"]
    assert "error of the simulation on the settings as they were: +0.0% (allowed: 20%)" in text[6]
    assert "pool:forklifts" in text[7]
    found = to_json(result, SETTINGS, notes)
    json.dumps(found)
    assert found["refusal"] is None
    assert found["scopes"][1]["changed"]["seconds"] < found["scopes"][1]["observed"]["seconds"]


def test_it_prints_why_it_cannot_tell_and_no_waits_after_the_change(events: Path) -> None:
    wrong = ObservedLimits(parallelism={BEGIN: 16}, pools={"forklifts": {BEGIN: 12}})
    result, notes = what_if(wrong, events, BEGIN, BEGIN + DAY, ["pool:forklifts=20"])
    text = "\n".join(to_text(result, build_timeline(wrong)[-1][1], notes))
    assert "Cannot say what would happen: with the settings as they were" in text
    assert "with it" not in text
    assert to_json(result, SETTINGS, notes)["scopes"][0]["changed"] is None


def test_doubts_about_the_data_are_notes(events: Path, tmp_path: Path) -> None:
    old = [json.loads(line) for line in events.read_bytes().splitlines()]
    for line in old:
        line.pop("priority_weight", None)
    path = tmp_path / "old.jsonl"
    path.write_text("\n".join(map(json.dumps, [*old, "?"])), encoding="utf-8")
    _, notes = what_if(LIMITS, path, BEGIN, BEGIN + DAY, ["max_active_runs:north=2"])
    assert notes[0] == "1 lines have no start or end, or cannot be read"
    assert "did not write pool_slots and priority_weight" in notes[1]
    assert notes[2] == "the value of max_active_runs:north is not known or unlimited: it is taken as unlimited"


def test_a_file_that_is_missing_and_a_wrong_change_are_errors(events: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        what_if(LIMITS, tmp_path / "none.jsonl", BEGIN, BEGIN + DAY, ["parallelism=4"])
    with pytest.raises(ChangeError):
        what_if(LIMITS, events, BEGIN, BEGIN + DAY, ["pools=4"])
