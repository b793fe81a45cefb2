"""The page /diagnosis: its three parts, what it links to, one DAG alone, and that no id becomes markup."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from exporter.diagnosis.findings import Finding
from exporter.diagnosis.reasons import POOL, POOL_MISSING, RETRY_DELAY
from exporter.diagnosis.report import CostFinding, Diagnosis, FailedTry, FailureFinding, HostSizing
from exporter.web.diagnosis_page import PageLinks, render_diagnosis_page, render_no_failed_try, select_dag
from exporter.web.style import STYLE

NOW = 1_800_000_000.0
EVIL = "<script>alert('1')</script>\"onload=x"
LOG = "https://airflow.example.org/dags/sales/runs/r/tasks/load?try_number=2"
NONE = PageLinks()
ALL = PageLinks("https://grafana.example.org", ("Reasons", "ErrorClasses"))


def make_try(dag_id: str = "sales", task_id: str = "load", log_url: str = LOG, map_index: int = -1) -> FailedTry:
    return FailedTry(dag_id, task_id, "r", map_index, 2, NOW - 90, "network", True, log_url)


def make_diagnosis(dag_id: str = "sales") -> Diagnosis:
    waiting = [
        Finding(POOL, "forklifts", tasks=7, dags=Counter({dag_id: 5, "other": 2}), suggestion="Try 4 slots."),
        Finding(POOL_MISSING, "crane", tasks=1, dags=Counter({"other": 1})),
        Finding(RETRY_DELAY, f"{dag_id}.load", tasks=1, dags=Counter({dag_id: 1})),
    ]
    failures = [
        FailureFinding(
            "network", "No connection.", 3, {dag_id: 3}, ["3 of 4 recover."], "Look at DNS.", make_try(dag_id)
        ),
        FailureFinding("code", "An exception.", 1, {"other": 1}, [], "", None),
    ]
    tries = [make_try(dag_id, map_index=3), make_try("other")]
    costs = [
        CostFinding("poking_sensors", f"{dag_id}.wait", "Sensors hold slots.", ["2 h a day."], "Reschedule.", 7200.0),
        CostFinding("vain_retries", "other", "Retries do not help.", [], "", 10.0),
    ]
    return Diagnosis(NOW, waiting, failures, tries, costs)


class Outline(HTMLParser):
    """Text, links and ids of a page; elements must be closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(page)
        assert not self._open
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "link"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.words.append(data)

    def links(self) -> list[str]:
        return [attributes["href"] or "" for name, attributes in self.elements if name == "a"]

    def headings(self, level: int) -> int:
        return sum(name == f"h{level}" for name, _ in self.elements)


def show(diagnosis: Diagnosis | None, links: PageLinks = NONE, dag_id: str = "") -> Outline:
    return Outline(render_diagnosis_page(diagnosis, links, dag_id))


def test_it_has_three_parts_with_evidence_and_what_to_change() -> None:
    page = show(make_diagnosis())
    for text in (
        "7 task instances wait (pool forklifts)",
        "Try 4 slots.",
        "Waiting does not help",
        "3 of 4 recover.",
        "Look at DNS.",
        "1 min 30 s ago",
        "load [3] , try 2",
        "Sensors hold slots.",
        "Reschedule.",
        "8 waiting beyond normal work",
        "4 failed in the last hour",
        "2 costly",
    ):
        assert text in page.text, text
    assert {"#waiting", "#failing", "#costs"} <= set(page.links())


def test_each_failed_try_links_to_its_log() -> None:
    assert show(make_diagnosis()).links().count(LOG) == 3
    assert "no link" in show(Diagnosis(NOW, failed_tries=[make_try(log_url="")])).text


def test_ten_failed_tries_are_listed() -> None:
    assert show(Diagnosis(NOW, failed_tries=[make_try()] * 15)).links().count(LOG) == 10


def test_it_links_to_dashboards_and_runbooks_where_they_are_known() -> None:
    found = show(make_diagnosis("a b&c"), ALL).links()
    assert "https://grafana.example.org/d/airflow-dag?var-dag_id=a+b%26c" in found
    assert {"runbooks/Reasons.md#pool", "runbooks/ErrorClasses.md#network"} <= set(found)
    assert not [link for link in show(make_diagnosis()).links() if "grafana" in link or "runbooks" in link]


def test_one_dag_alone() -> None:
    found = select_dag(make_diagnosis(), "sales")
    assert [one.reason.name for one in found.findings] == ["pool", "retry_delay"]
    assert [one.error_class for one in found.failures] == ["network"]
    assert [one.dag_id for one in found.failed_tries] == ["sales"]
    assert [one.name for one in found.costs] == ["poking_sensors"]
    page = show(found, dag_id="sales")
    assert "Only DAG sales" in page.text
    assert "diagnosis" in page.links()
    assert select_dag(make_diagnosis(), "sale") == Diagnosis(NOW, [], [], [], [])


def test_where_all_is_well_each_part_says_so() -> None:
    page = show(Diagnosis(NOW))
    for text in (
        "Nothing waits.",
        "No try failed in the last hour.",
        "Nothing was found that costs more than it needs to.",
    ):
        assert text in page.text
    assert "No diagnosis yet" in show(None).text


def test_no_id_becomes_markup() -> None:
    page = render_diagnosis_page(make_diagnosis(EVIL), ALL, EVIL) + render_no_failed_try(EVIL, EVIL)
    assert "<script" not in page
    assert not [attributes for _, attributes in Outline(page).elements if "onload" in attributes]


def test_it_can_be_read_by_a_screen_reader_at_every_width() -> None:
    page = show(make_diagnosis())
    tables = [attributes for name, attributes in page.elements if name == "table"]
    assert len(tables) == sum(name == "caption" for name, _ in page.elements) == 6
    assert all(attributes["role"] == "table" for attributes in tables)
    assert all(attributes["scope"] in ("col", "row") for name, attributes in page.elements if name == "th")
    assert all(attributes["data-label"] for name, attributes in page.elements if name == "td")
    assert (page.headings(1), page.headings(2)) == (1, 3)
    levels = [int(name[1]) for name, _ in page.elements if re.fullmatch("h[1-6]", name)]
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def luminance(color: str) -> float:
    digits = color * 2 if len(color) == 3 else color
    parts = [int(digits[index : index + 2], 16) / 255 for index in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["text", "dim", "good", "bad", "wait", "link"])
def test_its_colours_have_enough_contrast(mode: int, name: str) -> None:
    """At least 4.5 to 1 (WCAG AA) on both backgrounds."""
    found = re.findall(r"--(\w+): #([0-9a-f]{3,6})", STYLE)
    colors = dict(found[mode * len(found) // 2 : (mode + 1) * len(found) // 2])
    for back in ("back", "panel"):
        light, dark = sorted((luminance(colors[name]), luminance(colors[back])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_what_a_slot_costs_is_shown_with_what_is_not_known() -> None:
    known = HostSizing("worker-1", 20, 1, 0.5, 256 * 1024.0**2, 4, 7, ["from the last 20 tries"], [])
    hidden = HostSizing(EVIL, unknown=["run the exporter there"])
    for diagnosis in (make_diagnosis(), None):
        page = Outline(render_diagnosis_page(diagnosis, NONE, sizing=[known, hidden]))
        assert (
            "CPU: 0.50 CPUs memory: 256 MiB (p95 of peaks) 4 more tasks by CPU: 4 more by memory: 7 more" in page.text
        )
        assert "CPU: not known memory: not known by CPU: not known by memory: not known" in page.text
        assert EVIL in page.text
    assert "p95 of peaks" not in Outline(render_diagnosis_page(make_diagnosis(), NONE, "sales", [known])).text
