"""What Prometheus's own tool says of the configuration, the rules and their tests, as written and made harder."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.rules.hardship import TOO, expand, harden, restart
from tests.rules.rulefiles import OF_EXPORTERS, PROMETHEUS, TESTS

LONG = {"approvals", "components", "failures", "recording-tuning", "waiting"}
"""Files whose tests take promtool seconds: they evaluate weeks, or hundreds of alerts."""
each_file = pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
each_file_some_slow = pytest.mark.parametrize(
    "path", [pytest.param(path, marks=[pytest.mark.slow] * (path.stem in LONG), id=path.stem) for path in TESTS]
)


def run(promtool: Path, *arguments: str | Path) -> None:
    done = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_is_valid(promtool: Path) -> None:
    run(promtool, "check", "config", PROMETHEUS / "prometheus.yml")


def test_the_rules_are_valid(promtool: Path) -> None:
    files = [*PROMETHEUS.glob("rules/*.yml"), *PROMETHEUS.glob("alerts/*.yml")]
    run(promtool, "check", "rules", "--lint=all", "--lint-fatal", *files)


def test_the_rules_for_native_histograms_record_what_those_for_classic_ones_do(promtool: Path) -> None:
    run(promtool, "check", "rules", PROMETHEUS / "native" / "histograms.yml")
    run(promtool, "test", "rules", PROMETHEUS / "native" / "tests.yml")


@each_file_some_slow
def test_its_tests_pass(promtool: Path, path: Path) -> None:
    run(promtool, "test", "rules", path)


@pytest.mark.slow
@pytest.mark.parametrize("path", OF_EXPORTERS, ids=lambda path: path.stem)
def test_they_pass_with_two_replicas_restarts_and_two_airflows(promtool: Path, path: Path, tmp_path: Path) -> None:
    harder = tmp_path / path.name
    harder.write_text(yaml.safe_dump(harden(path), sort_keys=False), encoding="utf-8")
    run(promtool, "test", "rules", harder)


@pytest.mark.slow
def test_a_rule_that_adds_up_replicas_is_found(promtool: Path, tmp_path: Path) -> None:
    """The harder tests are worth something: a sum instead of max fails them, as does a rule that forgets Airflows."""
    rules = (PROMETHEUS / "rules" / "tasks.yml").read_text(encoding="utf-8")
    test = harden(PROMETHEUS / "tests" / "recording-tasks.yml")
    for broken in ("max without (instance, pod)", "sum by (airflow, dag_id)"):
        file = tmp_path / "tasks.yml"
        file.write_text(rules.replace(broken, broken.replace("max", "sum").replace("airflow, ", "")), encoding="utf-8")
        test["rule_files"] = [str(file) if name.endswith("tasks.yml") else name for name in test["rule_files"]]
        harder = tmp_path / "test.yml"
        harder.write_text(yaml.safe_dump(test), encoding="utf-8")
        done = subprocess.run([promtool, "test", "rules", harder], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert TOO in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("values", "samples"),
    [
        ("1 2", [1, 2]),
        ("0+2x3", [0, 2, 4, 6]),
        ("-1-1x1", [-1, -2]),
        ("5x2", [5, 5, 5]),
        ("_x2 7 stale _", [None, None, 7, "stale", None]),
        ("Inf+0x1", [float("inf")] * 2),
    ],
)
def test_promtools_notation_is_understood(values: str, samples: list[object]) -> None:
    assert expand(values) == samples


def test_a_counter_that_begins_anew_loses_nothing() -> None:
    assert restart([0.0, 2.0, 4.0, 6.0], 1 / 2) == [0.0, 2.0, 2.0, 4.0]
