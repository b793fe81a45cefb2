"""The pages that people open: what they tell, and that nothing in it becomes markup."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from exporter import __version__
from exporter.collect.status import ReadCycle, ReaderStatus, SourceStatus
from exporter.config.settings import Setting
from exporter.web.html import VOID_ELEMENTS, Markup, join, tag
from exporter.web.pages import (
    format_duration,
    render_configuration_page,
    render_landing_page,
    render_sources_page,
)
from exporter.web.style import CONTENT_SECURITY_POLICY, STYLE

NOW = 1_800_000_000.0
EVIL = "<script>alert('1')</script>\"onload=x"


class Outline(HTMLParser):
    """What a browser makes of a page: its text, its elements, and whether they are closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(page)
        assert not self._open

    @property
    def text(self) -> str:
        """All text, with single spaces."""
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID_ELEMENTS:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.words.append(data)


def make_reader(name: str = "dags", **changes: Any) -> ReaderStatus:
    parts: dict[str, Any] = {
        "help": "DAGs and their schedules",
        "interval": 30.0,
        "pause": 30.0,
        "last_attempt": NOW - 12,
        "last_success": NOW - 12,
        "outcome": "ok",
        "duration": 0.25,
    }
    return ReaderStatus(name, **(parts | changes))


def make_source(*readers: ReaderStatus, **changes: Any) -> SourceStatus:
    parts: dict[str, Any] = {
        "name": "airflow",
        "up": True,
        "attempted": True,
        "detail": "Airflow 3.3.2",
        "readers": readers,
    }
    return SourceStatus(**(parts | changes))


class TestLanding:
    """The first page."""

    def test_tells_the_version_and_links_to_what_there_is(self) -> None:
        outline = Outline(render_landing_page([make_source(make_reader())], "/metrics", NOW))
        assert f"Version {__version__}" in outline.text
        links = {attributes.get("href") for name, attributes in outline.elements if name == "a"}
        assert links >= {"metrics", "sources", "config", "runbooks", "-/healthy", "-/ready"}

    def test_links_are_relative_so_that_a_proxy_may_put_them_anywhere(self) -> None:
        outline = Outline(render_landing_page([make_source()], "/metrics", NOW))
        assert not [
            href for _, attributes in outline.elements if (href := attributes.get("href") or "").startswith("/")
        ]

    @pytest.mark.parametrize(
        ("changes", "state"),
        [
            ({}, "up Airflow 3.3.2 1 of 1 ok 12 s ago"),
            ({"up": False}, "down Airflow 3.3.2"),
            ({"attempted": False, "up": False}, "not attempted yet Airflow 3.3.2"),
        ],
    )
    def test_tells_the_state_of_each_source(self, changes: dict[str, Any], state: str) -> None:
        outline = Outline(render_landing_page([make_source(make_reader(), **changes)], "/metrics", NOW))
        assert f"airflow {state}" in outline.text

    def test_tells_what_the_first_failing_reader_said(self) -> None:
        failing = make_reader("runs", outcome="forbidden", message="403: the user may not read DAG runs")
        source = make_source(make_reader(), failing, make_reader("tasks", outcome="timeout"))
        text = Outline(render_landing_page([source], "/metrics", NOW)).text
        assert "1 of 3 ok" in text
        assert "runs: 403: the user may not read DAG runs (and 1 more)" in text

    def test_tells_what_a_reader_passes_over_where_none_fails(self) -> None:
        partial = make_reader("run_history", unanswered=2, message="etl: HTTP 404; load: HTTP 500")
        for page in (
            render_landing_page([make_source(partial)], "/metrics", NOW),
            render_sources_page([make_source(partial)], NOW),
        ):
            assert "2 skipped: etl: HTTP 404; load: HTTP 500" in Outline(page).text

    def test_says_so_where_no_source_is_enabled(self) -> None:
        assert "All collectors are disabled" in Outline(render_landing_page([], "/metrics", NOW)).text


class TestSources:
    """The page for when numbers look wrong."""

    def test_tells_how_each_reader_fares(self) -> None:
        reader = make_reader(outcome="rate_limited", message="429", last_success=NOW - 3700, interval=60.0, pause=95.0)
        text = Outline(render_sources_page([make_source(reader)], NOW)).text
        assert "dags rate limited 1 h 2 min ago 12 s ago 250 ms 1 min (now 1 min 35 s) 429" in text

    def test_shows_the_last_cycles_of_each_reader_with_their_log(self) -> None:
        cycles = (
            ReadCycle("runs", NOW - 5, 0.1, "ok"),
            ReadCycle("dags", NOW - 10, 1.5, "timeout", ("12:00:00.000 warn no answer", "second line")),
            ReadCycle("dags", NOW - 40, 0.5, "ok"),
        )
        source = make_source(make_reader("dags", outcome="timeout"), make_reader("runs"), cycles=cycles)
        text = Outline(render_sources_page([source], NOW)).text
        assert "dags : 2 polls, 1 failed DAGs and their schedules Started Duration Result and log" in text
        assert "2027-01-15 07:59:50 UTC 1.5 s timeout 12:00:00.000 warn no answer second line" in text
        assert text.index("07:59:50") < text.index("07:59:20") < text.index("runs : 1 poll ")

    @pytest.mark.parametrize(("outcome", "unfolded"), [("ok", False), ("timeout", True), ("", False)])
    def test_unfolds_the_readers_that_fail(self, outcome: str, unfolded: bool) -> None:
        outline = Outline(render_sources_page([make_source(make_reader(outcome=outcome))], NOW))
        (attributes,) = (attributes for name, attributes in outline.elements if name == "details")
        assert ("open" in attributes) is unfolded

    def test_every_link_within_the_page_leads_somewhere(self) -> None:
        outline = Outline(render_sources_page([make_source(make_reader("dags"), make_reader("runs"))], NOW))
        targets = {attributes.get("id") for _, attributes in outline.elements}
        links = [href for _, attributes in outline.elements if (href := attributes.get("href") or "").startswith("#")]
        assert links
        assert {link[1:] for link in links} <= targets

    def test_a_reader_that_was_not_tried_yet_has_no_numbers(self) -> None:
        reader = make_reader(outcome="", last_attempt=None, last_success=None, duration=0.0)
        assert "not attempted yet never never 30 s" in Outline(render_sources_page([make_source(reader)], NOW)).text


def test_the_configuration_tells_each_value_and_where_it_came_from() -> None:
    settings = [Setting("airflow.url", "https://airflow", "flag --airflow.url"), Setting("state.file", "", "default")]
    text = Outline(render_configuration_page(settings)).text
    assert "airflow.url https://airflow flag --airflow.url" in text
    assert "state.file default" in text


class TestMarkup:
    """Nothing that comes from outside becomes markup."""

    def test_whatever_a_source_says(self) -> None:
        reader = make_reader(EVIL, help=EVIL, outcome="internal", message=EVIL)
        cycle = ReadCycle(EVIL, NOW, 0.1, EVIL, (EVIL, EVIL))
        source = make_source(reader, name=EVIL, detail=EVIL, cycles=(cycle,))
        pages = [
            render_sources_page([source], NOW),
            render_landing_page([source], EVIL, NOW),
            render_configuration_page([Setting(EVIL, EVIL, EVIL)]),
        ]
        for page in pages:
            outline = Outline(page)
            assert EVIL in outline.text
            assert "script" not in {name for name, _ in outline.elements}
            assert not [attributes for _, attributes in outline.elements if "onload" in attributes]

    def test_elements_escape_texts_and_attributes_but_not_elements(self) -> None:
        inner = tag("b", "<&>", title='"<')
        assert inner == '<b title="&quot;&lt;">&lt;&amp;&gt;</b>'
        assert tag("p", inner, "<i>") == f"<p>{inner}&lt;i&gt;</p>"
        assert isinstance(join(inner, "<"), Markup)

    def test_the_policy_allows_our_style_and_nothing_else(self) -> None:
        page = render_configuration_page([])
        assert f"<style>{STYLE}</style>" in page
        assert "style=" not in page
        assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'; style-src 'sha256-")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.0, "0 ms"),
        (0.0123, "12 ms"),
        (0.9999, "1 s"),
        (1.25, "1.2 s"),
        (59.96, "1 min"),
        (61.0, "1 min 1 s"),
        (3600.0, "1 h"),
        (3660.0, "1 h 1 min"),
        (172_800.0, "2 d"),
    ],
)
def test_durations_have_at_most_two_units(seconds: float, told: str) -> None:
    assert format_duration(seconds) == told
