"""Every panel says what it shows, in which unit, and what is missing where it is empty."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

import promql_parser as ast
import pytest

from grafana.boards.kit.states import STATES
from tests.contract.promql import walk
from tests.grafana.boards import BOARDS, Panel, families, panels, source_sentence, substitute

FAMILIES = families()
PANELS = list(panels())
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
PADDING = 24
"""Pixels of a table's frame."""
KINDS = {"stat", "timeseries", "bargauge", "table", "xychart", "heatmap"}
WORDS = {"statsd": "StatsD", "host": "host source"}
OF_AIRFLOW = re.compile(r"task_instances|active_instances|dag_runs|backfill_runs|last_run_state|task_outcomes")
"""Families and recorded series whose `state` is a state of Airflow's task instances or runs."""
every_panel = pytest.mark.parametrize("panel", PANELS, ids=str)
every_board = pytest.mark.parametrize("uid", BOARDS)


@every_panel
def test_it_has_a_title_a_description_and_a_unit(panel: Panel) -> None:
    assert panel.kind in KINDS
    assert panel.json["title"] == panel.json["title"].strip() != ""
    assert panel.json["description"].endswith(".")
    assert panel.json["fieldConfig"]["defaults"]["unit"]


@every_panel
def test_it_asks_the_chosen_datasource_something(panel: Panel) -> None:
    assert panel.json["datasource"] == DATASOURCE
    assert panel.targets
    for target in panel.targets:
        assert target["datasource"] == DATASOURCE
        assert target["expr"].strip()
    expressions = [target["expr"] for target in panel.targets]
    assert len(set(expressions)) == len(expressions)


@every_panel
def test_it_says_what_it_needs_where_it_is_empty(panel: Panel) -> None:
    """A panel that only one source can fill names it."""
    needed = [sources(target["expr"]) for target in panel.targets]
    for source, words in WORDS.items():
        if all(source in of_target for of_target in needed):
            assert words in panel.json["fieldConfig"]["defaults"]["noValue"]


@every_panel
def test_its_description_ends_with_where_its_metrics_come_from(panel: Panel) -> None:
    assert panel.json["description"].endswith(f". {source_sentence(panel)}")


@every_panel
def test_its_title_is_short(panel: Panel) -> None:
    assert len(panel.json["title"]) <= 48


def sources(expression: str) -> set[str]:
    """Where the families of an expression come from."""
    names = {node.name for node in walk(ast.parse(substitute(expression))) if isinstance(node, ast.VectorSelector)}
    return {FAMILIES[name].source for name in names if name in FAMILIES}


def headings(panel: Panel) -> set[str]:
    """The columns of a table."""
    (organize,) = [shape for shape in panel.json["transformations"] if shape["id"] == "organize"]
    return set(organize["options"]["renameByName"].values())


@pytest.mark.parametrize("panel", [panel for panel in PANELS if panel.kind == "table"], ids=str)
def test_a_table_is_sorted_by_a_column_that_it_has(panel: Panel) -> None:
    (by,) = panel.json["options"]["sortBy"]
    assert by["displayName"] in headings(panel)
    assert {override["matcher"]["options"] for override in panel.json["fieldConfig"]["overrides"]} <= headings(panel)


@every_panel
def test_it_is_large_enough_to_be_read(panel: Panel) -> None:
    place = panel.json["gridPos"]
    assert place["x"] + place["w"] <= 24
    assert place["w"] >= (3 if panel.kind == "stat" else 6)
    assert place["h"] >= (3 if panel.kind == "stat" else 5)


@every_board
def test_panels_do_not_overlap_and_have_numbers_of_their_own(uid: str) -> None:
    shown = BOARDS[uid]["panels"]
    for one, other in combinations(shown, 2):
        assert not overlap(one["gridPos"], other["gridPos"]), f"{one['title']} and {other['title']}"
    inner = [deep for panel in shown for deep in panel.get("panels", [])]
    numbers = [panel["id"] for panel in (*shown, *inner)]
    assert len(set(numbers)) == len(numbers)


def overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two places have a cell in common."""
    beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    return not (beside or below)


@every_board
def test_titles_are_not_said_twice(uid: str) -> None:
    titles = [panel.json["title"] for panel in PANELS if panel.board == uid]
    assert sorted(set(titles)) == sorted(titles)


@pytest.mark.parametrize("panel", [panel for panel in PANELS if panel.kind == "timeseries"], ids=str)
def test_a_point_between_two_gaps_is_drawn(panel: Panel) -> None:
    """A line needs two points: over an hour, a DAG that runs seldom has one value here and there."""
    custom = panel.json["fieldConfig"]["defaults"]["custom"]
    if custom["drawStyle"] == "line":
        assert custom["showPoints"] in ("auto", "always")
        assert custom["pointSize"] > custom["lineWidth"]


@every_panel
def test_a_state_has_the_colour_that_airflow_gives_it(panel: Panel) -> None:
    for override in panel.json["fieldConfig"]["overrides"]:
        state = override["matcher"]["options"]
        if state in STATES:
            colors = [found["value"] for found in override["properties"] if found["id"] == "color"]
            assert [color["fixedColor"] for color in colors] == [STATES[state]]
    if any(target["legendFormat"] == "{{state}}" and OF_AIRFLOW.search(target["expr"]) for target in panel.targets):
        assert set(STATES) <= {override["matcher"]["options"] for override in panel.json["fieldConfig"]["overrides"]}


@every_panel
def test_a_quantile_is_named_as_a_percentile(panel: Panel) -> None:
    for target in panel.targets:
        quantile = re.search(r'histogram_quantile\(([\d.]+)|quantile="([\d.]+)"', target["expr"])
        legend = target["legendFormat"]
        if quantile and legend.startswith("p"):
            assert legend.partition(",")[0].split()[0] == f"p{float(quantile[1] or quantile[2]) * 100:g}"
        assert not re.search(r"\bof 100\b|\bmedian\b", legend)


@pytest.mark.parametrize("panel", [panel for panel in PANELS if panel.kind == "table"], ids=str)
def test_sentences_of_a_table_wrap_and_have_room_on_a_screen_of_1600_pixels(panel: Panel) -> None:
    """Which setting to change is text of up to 107 characters; columns without a width share what is left."""
    columns = {
        one["matcher"]["options"]: {each["id"]: each["value"] for each in one["properties"]}
        for one in panel.json["fieldConfig"]["overrides"]
    }
    names = panel.json["transformations"][2]["options"]["renameByName"]
    widths = [columns.get(name, {}).get("custom.width", 0) for name in names.values()]
    share = (1600 * panel.json["gridPos"]["w"] / 24 - PADDING - sum(widths)) / max(widths.count(0), 1)
    assert 0 not in widths or share >= 100
    if "setting" in names:
        column = columns[names["setting"]]
        assert column["custom.cellOptions"]["wrapText"]
        assert column["custom.wrapText"]
        assert share >= 250
