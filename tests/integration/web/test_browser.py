"""The exporter's pages in a real browser: on a phone and on a desk, light and dark."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.collect.status import ReadCycle, SourceStatus
from exporter.diagnosis.findings import Finding
from exporter.diagnosis.reasons import POOL, POOL_MISSING, RETRY_DELAY
from exporter.diagnosis.report import CostFinding, Diagnosis, FailedTry, FailureFinding
from tests.integration.web.browser import Browser
from tests.integration.web.conftest import READER, SOURCE, Serve, make_context

CHROMIUM = os.environ.get("CHROMIUM_BIN") or shutil.which("chromium") or shutil.which("chromium-browser")
NOW = 1_800_000_000.0
LONG = "a_dag_with_a_name_of_the_length_that_generated_dags_often_have_in_large_companies_and_no_space_in_it" * 2
MIN_CONTRAST = 120
"""Of 255: the difference in brightness of text and background."""
MAX_DARK, MIN_LIGHT = 80, 200
"""Of 255: the brightness of the background in dark and in light mode."""
WIDTH = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
OUTSIDE = """(() => {
  const hidden = [], range = document.createRange();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const scrolls = (one) => one && (/auto|scroll/.test(getComputedStyle(one).overflowX) || scrolls(one.parentElement));
  while (texts.nextNode()) {
    const text = texts.currentNode;
    range.selectNodeContents(text);
    const box = range.getBoundingClientRect();
    if (box.width && box.right > innerWidth + 1 && !scrolls(text.parentElement)) hidden.push(text.data.trim());
  }
  return hidden;
})()"""
"""Texts that end beyond the window and are in nothing that can be scrolled."""
BACKGROUND = "[document.body, document.documentElement].map(one => getComputedStyle(one).backgroundColor)"
PARTS = "['waiting', 'failing', 'costs'].filter(id => document.getElementById(id)?.getBoundingClientRect().height > 20)"


PAGES = {
    "/": "Airflow 3.3.2",
    "/sources": "gave up",
    "/runbooks": "AirflowDagLate",
    "/runbooks/AirflowTasksWaitingForPool.md": "Mitigation",
    "/runbooks/Reasons.md": "pool_missing",
    "/config": "airflow.password_file",
    "/diagnosis": "forklifts",
}
"""Paths, each with a text that its page shows."""


def make_sources() -> list[SourceStatus]:
    """A source that is well, and one whose reader fails with a long message without spaces."""
    problem = f"gave up: https://airflow.example.org/api/v2/{LONG}"
    failing = replace(READER, name="dags", outcome="timeout", message=problem)
    cycles = (*SOURCE.cycles, ReadCycle("dags", 1000.0, 30.0, "timeout", (problem,)))
    return [SOURCE, SourceStatus("statsd", True, False, problem, (failing,), cycles)]


def make_diagnosis() -> Diagnosis:
    """Something of each part, with ids of any length."""
    newest = FailedTry(
        LONG, "load", "scheduled__2026-01-05T06:00:00+00:00", 3, 2, NOW - 90, "network", True, "https://x/"
    )
    waiting = [
        Finding(POOL, "forklifts", tasks=7, dags=Counter({LONG: 5, "other": 2}), suggestion="Try 4 slots.", limit=2.0),
        Finding(POOL_MISSING, LONG, tasks=1, dags=Counter({"other": 1})),
        Finding(RETRY_DELAY, f"{LONG}.load", tasks=1, dags=Counter({LONG: 1})),
    ]
    failures = [FailureFinding("network", "No connection.", 3, {LONG: 3}, ["3 of 4 recover"], "Look at DNS.", newest)]
    costs = [CostFinding("poking_sensor", LONG, "Sensors hold slots.", ["2 h a day"], "Reschedule.", 7_200.0)]
    return Diagnosis(NOW, waiting, failures, [newest] * 10, costs)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests."""
    if CHROMIUM is None:
        pytest.skip("a program is missing: chromium is neither in PATH nor named by $CHROMIUM_BIN")
    browser = Browser(CHROMIUM, tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_the_pages_fit_and_are_light_or_dark(browser: Browser, serve: Serve, width: int, scheme: str) -> None:
    server = serve(make_context(diagnosis=make_diagnosis, sources=make_sources))
    problems = []
    for page, shows in PAGES.items():
        browser.open(f"http://{server.addresses[0]}{page}", width=width, height=844, scheme=scheme)
        assert browser.evaluate("innerWidth") == width
        brightness = min(map(measure_brightness, filter(is_opaque, browser.evaluate(BACKGROUND))))
        right = brightness < MAX_DARK if scheme == "dark" else brightness > MIN_LIGHT
        contrast = abs(brightness - measure_brightness(browser.evaluate("getComputedStyle(document.body).color")))
        found = {
            "wider than the window": browser.evaluate(WIDTH) > 0,
            "text outside of the window": browser.evaluate(OUTSIDE),
            "complaints": browser.complaints,
            "the wrong background": not right,
            "text that cannot be read": contrast < MIN_CONTRAST,
            "what it is about is missing": not browser.evaluate(f"document.body.innerText.includes({shows!r})"),
        }
        problems += [f"{page}: {problem}: {what}" for problem, what in found.items() if what]
    assert problems == []


@pytest.mark.slow
def test_the_diagnosis_shows_its_three_parts(browser: Browser, serve: Serve) -> None:
    server = serve(make_context(diagnosis=make_diagnosis))
    browser.open(f"http://{server.addresses[0]}/diagnosis", width=375, height=844, scheme="light")
    assert browser.evaluate(PARTS) == ["waiting", "failing", "costs"]


def is_opaque(color: str) -> bool:
    """Whether something is painted."""
    return color != "rgba(0, 0, 0, 0)"


def measure_brightness(color: str) -> float:
    """From 0 to 255, of a color such as rgb(17, 18, 23)."""
    return sum(float(part) for part in color.partition("(")[2].rstrip(")").split(",")[:3]) / 3


@pytest.mark.slow
def test_a_page_that_is_too_wide_and_complains_would_be_noticed(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "wide.html"
    page.write_text(
        "<div style='width:900px; text-align:right'>wide</div><script>console.error('no'); undefined.x</script>"
    )
    browser.open(page.as_uri(), width=390, height=844, scheme="light")
    assert browser.evaluate(WIDTH) > 0
    assert browser.evaluate(OUTSIDE) == ["wide"]
    assert browser.evaluate(PARTS) == []
    assert len(browser.complaints) == 2
