"""The builder: what repeats in queries, where panels stand, what becomes of columns."""

from __future__ import annotations

import pytest

from grafana.boards.kit.dashboard import Dashboard, Row
from grafana.boards.kit.draw import Stat, TimeSeries
from grafana.boards.kit.link import airflow, board
from grafana.boards.kit.panel import override
from grafana.boards.kit.promql import busiest, increase, largest, one, or_zero, pick, quantile, rate, total
from grafana.boards.kit.table import Column, Key, Table
from grafana.boards.kit.variable import COMMON, POOL


@pytest.mark.parametrize(
    ("built", "expression"),
    [
        (pick("x"), 'x{airflow="$airflow"}'),
        (pick("x", state="failed"), 'x{airflow="$airflow", state="failed"}'),
        (pick("x", state="!failed"), 'x{airflow="$airflow", state!="failed"}'),
        (pick("x", pool="~$pool"), 'x{airflow="$airflow", pool=~"$pool"}'),
        (pick("x", pool="!~a|b"), 'x{airflow="$airflow", pool!~"a|b"}'),
        (one("x"), 'max without(instance, pod) (x{airflow="$airflow"})'),
        (rate("x"), 'max without(instance, pod) (rate(x{airflow="$airflow"}[$__rate_interval]))'),
        (increase("x"), 'max without(instance, pod) (increase(x{airflow="$airflow"}[$__range]))'),
        (total("x"), "sum(x)"),
        (total("x", "a", "b"), "sum by(a, b) (x)"),
        (or_zero("sum(x)", "y"), "sum(x) or 0 * (y)"),
        (largest(3, "x", "a"), "x and on(a) topk(3, avg_over_time(x[$__range] @ end()))"),
    ],
)
def test_expressions_that_repeat(built: str, expression: str) -> None:
    assert built == expression


def test_the_busiest_are_chosen_by_all_the_time_shown_not_at_each_step() -> None:
    gained = 'max without(instance, pod) (increase(x{airflow="$airflow"}[$__range] @ end()))'
    assert busiest(5, "x", "a").endswith(f"and on(a) topk(5, sum by(a) ({gained}) > 0)")


def test_a_quantile_of_nothing_is_left_out() -> None:
    assert quantile(0.5, "x").startswith(
        "histogram_quantile(0.5, sum by(le) (max without(instance, pod) (rate(x_bucket"
    )
    assert quantile(0.5, "x").endswith(">= 0")


def tile(title: str, width: int = 4, height: int = 3) -> Stat:
    """A panel of a given size."""
    return Stat(title, "It is.", "x").size(width, height)


def placed(*rows: Row) -> dict[str, tuple[int, int]]:
    """Where each panel stands: left and top."""
    board_ = Dashboard("u", "t", "d", COMMON, rows).json()
    everything = [*board_["panels"], *(inner for panel in board_["panels"] for inner in panel.get("panels", []))]
    return {panel["title"]: (panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in everything}


def test_panels_flow_from_left_to_right_into_the_next_line() -> None:
    where = placed(Row("one", [tile("a", 12), tile("b", 12, 5), tile("c", 12)]), Row("two", [tile("d")]))
    assert where == {"one": (0, 0), "a": (0, 1), "b": (12, 1), "c": (0, 6), "two": (0, 9), "d": (0, 10)}


def test_a_collapsed_row_holds_its_panels_and_takes_one_line() -> None:
    shut = Row("shut", [tile("a")], collapsed=True)
    built = Dashboard("u", "t", "d", COMMON, [shut, Row("open", [tile("b")])]).json()
    assert [panel["title"] for panel in built["panels"]] == ["shut", "open", "b"]
    assert [panel["title"] for panel in built["panels"][0]["panels"]] == ["a"]
    assert placed(shut, Row("open", [tile("b")]))["open"] == (0, 1)


def test_a_table_joins_its_queries_and_names_its_columns() -> None:
    built = Table("t", "d.", {"dag_id": Key("DAG")}, [Column("Runs", "x"), Column("Tasks", "y", unit="s")]).json()
    assert [target["format"] for target in built["targets"]] == ["table", "table"]
    merge, keep, organize, sort = built["transformations"]
    assert merge["id"] == "merge"
    assert keep["options"]["include"]["names"] == ["dag_id", "Value #A", "Value #B"]
    assert organize["options"]["renameByName"] == {"dag_id": "DAG", "Value #A": "Runs", "Value #B": "Tasks"}
    assert sort["options"]["sort"] == [{"field": "Runs", "desc": True}]


def test_the_only_query_of_a_table_has_a_plain_value() -> None:
    built = Table("t", "d.", {"dag_id": Key("DAG")}, [Column("Runs", "x")]).json()
    assert built["transformations"][2]["options"]["renameByName"] == {"dag_id": "DAG", "Value": "Runs"}


def test_a_stat_asks_for_now_and_a_graph_for_all_the_time() -> None:
    assert Stat("t", "d.", "x").json()["targets"][0]["instant"]
    assert not TimeSeries("t", "d.", "x").json()["targets"][0]["instant"]


def test_what_has_seldom_a_value_is_joined_and_looked_at_in_longer_steps() -> None:
    seldom, often = TimeSeries("t", "d.", "x").sparse().json(), TimeSeries("t", "d.", "x").json()
    assert (seldom["interval"], often["interval"]) == ("5m", "1m")
    assert seldom["fieldConfig"]["defaults"]["custom"]["spanNulls"]
    assert not often["fieldConfig"]["defaults"]["custom"]["spanNulls"]


def test_one_panel_does_not_change_another() -> None:
    changed = TimeSeries("t", "d.", "x").hide_legend().bars().colors({"a": "red"})
    assert changed.json() != TimeSeries("t", "d.", "x").json()
    assert TimeSeries("t", "d.", "x").json()["options"]["legend"]["showLegend"]


def test_a_table_is_sorted_as_it_is_told() -> None:
    built = Table("t", "d.", {"dag_id": Key("DAG")}, [Column("Runs", "x"), Column("Tasks", "y")])
    sort = built.sort_by("Tasks", ascending=True).json()["transformations"][3]
    assert sort["options"]["sort"] == [{"field": "Tasks", "desc": False}]


def test_custom_properties_have_their_dot() -> None:
    assert override("a", custom_width=3)["properties"] == [{"id": "custom.width", "value": 3}]


def test_links_take_time_and_airflow_along() -> None:
    inside, outside = board("airflow-dag", "The DAG", dag_id="x").json(), airflow("DAG", "/dags/x").json()
    assert inside["url"].startswith("/d/airflow-dag?${__url_time_range}&${datasource:queryparam}&${airflow:queryparam}")
    assert inside["url"].endswith("&var-dag_id=x")
    assert not inside["targetBlank"]
    assert outside["url"] == "${airflow_url}/dags/x"
    assert outside["targetBlank"]


def test_of_several_values_all_are_chosen_at_first() -> None:
    assert POOL.json()["current"] == {"text": ["All"], "value": ["$__all"]}
    assert POOL.json()["allValue"] == ".*"
